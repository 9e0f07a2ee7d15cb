//! Statements: clauses and patterns. Expressions are in `parse_expression`. What is not supported is
//! refused with Neo4j's code for a syntax error, and named.

use super::ast::{
    Clause, Direction, Expression, LinkPattern, NodePattern, PathPattern, Projection, RemoveItem,
    SetItem, Statement,
};
use super::error::{Failure, code};
use super::lexer::{Placed, Token, tokens};
use super::tokens::Tokens;

/// Longest statement.
const MAX_BYTES: usize = 1 << 20;
/// Most relationships of a path.
const MAX_STEPS: usize = 50;

/// Words with which a clause begins, which therefore end the clause before.
const CLAUSES: [&str; 17] = [
    "MATCH", "OPTIONAL", "WHERE", "WITH", "RETURN", "UNWIND", "CREATE", "MERGE", "SET", "REMOVE",
    "DELETE", "DETACH", "CALL", "YIELD", "ORDER", "SKIP", "LIMIT",
];

/// Understands a statement.
///
/// # Errors
/// When it is none, or one that is not supported.
pub fn parse(text: &str) -> Result<Statement, Failure> {
    if text.len() > MAX_BYTES {
        return Err(Failure::new(code::SYNTAX, "the statement is too long"));
    }
    let tokens = tokens(text)?;
    let mut parser = Tokens::new(&tokens);
    let statement = parser.statement(&tokens)?;
    parser.take_symbol(";");
    parser.end()?;
    Ok(statement)
}

impl Tokens<'_> {
    fn statement(&mut self, all: &[Placed]) -> Result<Statement, Failure> {
        if let Some((Token::Word(first), _)) = all.first() {
            let second = all.get(1).map(|(token, _)| token);
            let second = match second {
                Some(Token::Word(word)) => word.to_ascii_uppercase(),
                _ => String::new(),
            };
            match (first.to_ascii_uppercase().as_str(), second.as_str()) {
                ("CREATE", "CONSTRAINT" | "INDEX" | "RANGE") => return self.create_index(),
                ("DROP", _) => return self.drop_index(),
                ("SHOW", _) => return self.show(),
                _ => {}
            }
        }
        let mut clauses = Vec::new();
        while !self.at_end() {
            clauses.push(self.clause()?);
        }
        match clauses.last() {
            None => Err(self.wrong("expected a clause")),
            Some(Clause::Match { .. } | Clause::Unwind(..) | Clause::With(..)) => {
                Err(self.wrong("expected a clause that returns or changes something"))
            }
            Some(_) => Ok(Statement::Query(clauses)),
        }
    }

    fn clause(&mut self) -> Result<Clause, Failure> {
        let word = self.word()?;
        match word.to_ascii_uppercase().as_str() {
            "MATCH" => self.matching(false),
            "OPTIONAL" => {
                self.expect_word("MATCH")?;
                self.matching(true)
            }
            "UNWIND" => {
                let list = self.expression()?;
                self.expect_word("AS")?;
                Ok(Clause::Unwind(list, self.name()?))
            }
            "CREATE" => Ok(Clause::Create(self.paths()?)),
            "MERGE" => self.merge(),
            "SET" => Ok(Clause::Set(self.set_items()?)),
            "REMOVE" => Ok(Clause::Remove(self.remove_items()?)),
            "DELETE" => Ok(Clause::Delete(false, self.expressions()?)),
            "DETACH" => {
                self.expect_word("DELETE")?;
                Ok(Clause::Delete(true, self.expressions()?))
            }
            "WITH" => {
                let projection = self.projection()?;
                let condition = self.condition()?;
                Ok(Clause::With(projection, condition))
            }
            "RETURN" => Ok(Clause::Return(self.projection()?)),
            "CALL" => self.call(),
            _ => Err(self.wrong_before(&format!(
                "`{}` begins no clause that the sandbox's store supports",
                word.escape_debug()
            ))),
        }
    }

    fn condition(&mut self) -> Result<Option<Expression>, Failure> {
        if self.take_word("WHERE") { self.expression().map(Some) } else { Ok(None) }
    }

    fn matching(&mut self, optional: bool) -> Result<Clause, Failure> {
        let paths = self.paths()?;
        Ok(Clause::Match { optional, paths, condition: self.condition()? })
    }

    fn paths(&mut self) -> Result<Vec<PathPattern>, Failure> {
        let mut paths = vec![self.path()?];
        while self.take_symbol(",") {
            paths.push(self.path()?);
        }
        Ok(paths)
    }

    fn path(&mut self) -> Result<PathPattern, Failure> {
        let name = if self.next_is_symbol("(") { None } else { Some(self.name()?) };
        if name.is_some() {
            self.expect_symbol("=")?;
        }
        let first = self.node_pattern()?;
        let mut steps = Vec::new();
        while self.next_is_symbol("-") || self.next_is_symbol("<") {
            if steps.len() == MAX_STEPS {
                return Err(self.wrong("too long a path"));
            }
            let link = self.link_pattern()?;
            steps.push((link, self.node_pattern()?));
        }
        Ok(PathPattern { name, first, steps })
    }

    fn node_pattern(&mut self) -> Result<NodePattern, Failure> {
        self.expect_symbol("(")?;
        let mut node = NodePattern::default();
        if !self.next_is_symbol(":") && !self.next_is_symbol("{") && !self.next_is_symbol(")") {
            node.name = Some(self.name()?);
        }
        while self.take_symbol(":") || self.take_symbol("&") {
            node.labels.push(self.name()?);
        }
        node.properties = self.pattern_properties()?;
        self.expect_symbol(")")?;
        Ok(node)
    }

    fn pattern_properties(&mut self) -> Result<Option<Expression>, Failure> {
        if self.next_is_symbol("{") || self.next_is_parameter() {
            return self.atom().map(Some);
        }
        Ok(None)
    }

    fn link_pattern(&mut self) -> Result<LinkPattern, Failure> {
        let left = self.take_symbol("<");
        self.expect_symbol("-")?;
        let mut link = LinkPattern {
            name: None,
            kinds: Vec::new(),
            properties: None,
            direction: Direction::Either,
        };
        if self.take_symbol("[") {
            if !self.next_is_symbol(":") && !self.next_is_symbol("{") && !self.next_is_symbol("]") {
                if self.next_is_symbol("*") {
                    return Err(self.wrong("paths of variable length are not supported"));
                }
                link.name = Some(self.name()?);
            }
            if self.take_symbol(":") {
                link.kinds.push(self.name()?);
                while self.take_symbol("|") {
                    self.take_symbol(":");
                    link.kinds.push(self.name()?);
                }
            }
            if self.next_is_symbol("*") {
                return Err(self.wrong("paths of variable length are not supported"));
            }
            link.properties = self.pattern_properties()?;
            self.expect_symbol("]")?;
        }
        self.expect_symbol("-")?;
        let right = self.take_symbol(">");
        link.direction = match (left, right) {
            (true, false) => Direction::Left,
            (false, true) => Direction::Right,
            _ => Direction::Either,
        };
        Ok(link)
    }

    fn merge(&mut self) -> Result<Clause, Failure> {
        let path = self.path()?;
        let (mut on_create, mut on_match) = (Vec::new(), Vec::new());
        while self.take_word("ON") {
            let on = self.word()?;
            self.expect_word("SET")?;
            match on.to_ascii_uppercase().as_str() {
                "CREATE" => on_create.extend(self.set_items()?),
                "MATCH" => on_match.extend(self.set_items()?),
                _ => return Err(self.wrong("expected ON CREATE SET or ON MATCH SET")),
            }
        }
        Ok(Clause::Merge { path, on_create, on_match })
    }

    fn set_items(&mut self) -> Result<Vec<SetItem>, Failure> {
        let mut items = Vec::new();
        loop {
            let target = self.atom_with_properties()?;
            items.push(match target {
                Expression::Property(of, property) => {
                    self.expect_symbol("=")?;
                    SetItem::Property(*of, property, self.expression()?)
                }
                Expression::Variable(name) if self.take_symbol("=") => {
                    SetItem::Replace(name, self.expression()?)
                }
                Expression::Variable(name) if self.take_symbol("+=") => {
                    SetItem::Merge(name, self.expression()?)
                }
                Expression::Variable(name) if self.next_is_symbol(":") => {
                    SetItem::Labels(name, self.labels()?)
                }
                _ => return Err(self.wrong("expected a property, a name or a label to set")),
            });
            if !self.take_symbol(",") {
                return Ok(items);
            }
        }
    }

    fn remove_items(&mut self) -> Result<Vec<RemoveItem>, Failure> {
        let mut items = Vec::new();
        loop {
            items.push(match self.atom_with_properties()? {
                Expression::Property(of, property) => RemoveItem::Property(*of, property),
                Expression::Variable(name) if self.next_is_symbol(":") => {
                    RemoveItem::Labels(name, self.labels()?)
                }
                _ => return Err(self.wrong("expected a property or a label to remove")),
            });
            if !self.take_symbol(",") {
                return Ok(items);
            }
        }
    }

    fn labels(&mut self) -> Result<Vec<String>, Failure> {
        let mut labels = Vec::new();
        while self.take_symbol(":") {
            labels.push(self.name()?);
        }
        Ok(labels)
    }

    fn projection(&mut self) -> Result<Projection, Failure> {
        let mut projection =
            Projection { distinct: self.take_word("DISTINCT"), ..Projection::default() };
        if self.take_symbol("*") {
            projection.all = true;
            if self.take_symbol(",") {
                projection.items = self.columns()?;
            }
        } else {
            projection.items = self.columns()?;
        }
        if self.take_word("ORDER") {
            self.expect_word("BY")?;
            loop {
                let by = self.expression()?;
                let descending = self.take_word("DESC") || self.take_word("DESCENDING");
                if !descending {
                    let _ = self.take_word("ASC") || self.take_word("ASCENDING");
                }
                projection.order.push((by, descending));
                if !self.take_symbol(",") {
                    break;
                }
            }
        }
        if self.take_word("SKIP") || self.take_word("OFFSET") {
            projection.skip = Some(self.expression()?);
        }
        if self.take_word("LIMIT") {
            projection.limit = Some(self.expression()?);
        }
        Ok(projection)
    }

    fn columns(&mut self) -> Result<Vec<(Expression, String)>, Failure> {
        let mut columns = Vec::new();
        loop {
            let begin = self.place();
            let expression = self.expression()?;
            let name = if self.take_word("AS") {
                self.name()?
            } else {
                match &expression {
                    Expression::Variable(name) => name.clone(),
                    _ => self.written_since(begin),
                }
            };
            columns.push((expression, name));
            if !self.take_symbol(",") {
                return Ok(columns);
            }
        }
    }

    fn call(&mut self) -> Result<Clause, Failure> {
        if self.next_is_symbol("{") {
            return Err(self.wrong("subqueries are not supported"));
        }
        let mut procedure = self.name()?;
        while self.take_symbol(".") {
            procedure = format!("{procedure}.{}", self.name()?);
        }
        let mut arguments = Vec::new();
        if self.take_symbol("(") && !self.take_symbol(")") {
            arguments = self.expressions()?;
            self.expect_symbol(")")?;
        }
        let columns = self.yields()?;
        Ok(Clause::Call { procedure, arguments, columns })
    }

    fn yields(&mut self) -> Result<Vec<(String, String)>, Failure> {
        let mut columns = Vec::new();
        if !self.take_word("YIELD") || self.take_symbol("*") {
            return Ok(columns);
        }
        loop {
            let column = self.name()?;
            let name = if self.take_word("AS") { self.name()? } else { column.clone() };
            columns.push((column, name));
            if !self.take_symbol(",") {
                return Ok(columns);
            }
        }
    }

    /// `SHOW CONSTRAINTS` and `SHOW INDEXES` are rows as of a procedure.
    fn show(&mut self) -> Result<Statement, Failure> {
        self.expect_word("SHOW")?;
        let _ = self.take_word("ALL");
        let what = self.word()?.to_ascii_uppercase();
        let procedure = match what.as_str() {
            "CONSTRAINT" | "CONSTRAINTS" => "show.constraints",
            "INDEX" | "INDEXES" => "show.indexes",
            _ => return Err(self.wrong_before("expected SHOW CONSTRAINTS or SHOW INDEXES")),
        };
        let columns = self.yields()?;
        let condition = self.condition()?;
        let call = Clause::Call { procedure: procedure.to_owned(), arguments: Vec::new(), columns };
        let all = Projection { all: true, ..Projection::default() };
        let mut clauses = vec![call, Clause::With(all.clone(), condition)];
        while !self.at_end() && !self.next_is_symbol(";") {
            clauses.push(self.clause()?);
        }
        if !clauses.iter().any(|clause| matches!(clause, Clause::Return(_))) {
            clauses.push(Clause::Return(all));
        }
        Ok(Statement::Query(clauses))
    }
}

/// Whether a word begins a clause.
pub(super) fn begins_clause(word: &str) -> bool {
    CLAUSES.contains(&word.to_ascii_uppercase().as_str())
}
