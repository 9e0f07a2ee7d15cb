//! Statements that make and remove constraints and indexes.

use super::ast::Statement;
use super::error::Failure;
use super::graph::Index;
use super::tokens::Tokens;

impl Tokens<'_> {
    /// `CREATE CONSTRAINT name IF NOT EXISTS FOR (n:Label) REQUIRE n.property IS UNIQUE`, and
    /// `CREATE INDEX name IF NOT EXISTS FOR (n:Label) ON (n.property)`.
    pub(super) fn create_index(&mut self) -> Result<Statement, Failure> {
        self.expect_word("CREATE")?;
        let unique = self.take_word("CONSTRAINT");
        if !unique {
            let _ = self.take_word("RANGE");
            self.expect_word("INDEX")?;
        }
        let named = !matches!(self.peek_word().as_deref(), Some("IF" | "FOR"));
        let name = if named { Some(self.name()?) } else { None };
        let may_exist = self.take_word("IF");
        if may_exist {
            self.expect_word("NOT")?;
            self.expect_word("EXISTS")?;
        }
        self.expect_word("FOR")?;
        self.expect_symbol("(")?;
        let variable = self.name()?;
        if !self.take_symbol(":") {
            return Err(self.wrong("expected a node with a label: no others are supported"));
        }
        let label = self.name()?;
        self.expect_symbol(")")?;
        self.expect_word(if unique { "REQUIRE" } else { "ON" })?;
        let in_brackets = self.take_symbol("(");
        if self.name()? != variable {
            return Err(self.wrong_before("expected the name of the node"));
        }
        self.expect_symbol(".")?;
        let property = self.name()?;
        if self.next_is_symbol(",") {
            return Err(self.wrong("several properties together are not supported"));
        }
        if in_brackets {
            self.expect_symbol(")")?;
        }
        if unique {
            self.expect_word("IS")?;
            let _ = self.take_word("NODE");
            if !self.take_word("UNIQUE") {
                return Err(self.wrong("expected IS UNIQUE: no other constraint is supported"));
            }
        }
        let of_kind = if unique { "constraint" } else { "index" };
        let name = name.unwrap_or_else(|| format!("{of_kind}_{label}_{property}").to_lowercase());
        Ok(Statement::CreateIndex(Index { name, label, property, unique }, may_exist))
    }

    /// `DROP CONSTRAINT name IF EXISTS`, and the same for an index.
    pub(super) fn drop_index(&mut self) -> Result<Statement, Failure> {
        self.expect_word("DROP")?;
        let unique = self.take_word("CONSTRAINT");
        if !unique {
            self.expect_word("INDEX")?;
        }
        let name = self.name()?;
        let may_be_missing = self.take_word("IF");
        if may_be_missing {
            self.expect_word("EXISTS")?;
        }
        Ok(Statement::DropIndex(name, unique, may_be_missing))
    }
}
