//! Expressions.

use super::ast::{Binary, Expression, Unary};
use super::error::Failure;
use super::lexer::Token;
use super::parser::begins_clause;
use super::tokens::Tokens;
use super::value::Value;

impl Tokens<'_> {
    /// Expressions with commas between them.
    pub fn expressions(&mut self) -> Result<Vec<Expression>, Failure> {
        let mut expressions = vec![self.expression()?];
        while self.take_symbol(",") {
            expressions.push(self.expression()?);
        }
        Ok(expressions)
    }

    /// An expression.
    pub fn expression(&mut self) -> Result<Expression, Failure> {
        self.sink()?;
        let expression = self.disjunction();
        self.rise();
        expression
    }

    fn disjunction(&mut self) -> Result<Expression, Failure> {
        let mut left = self.conjunction()?;
        loop {
            let operator = match self.peek_word().as_deref() {
                Some("OR") => Binary::Or,
                Some("XOR") => Binary::Xor,
                _ => return Ok(left),
            };
            self.take_operator()?;
            left = Expression::Binary(operator, left.into(), self.conjunction()?.into());
        }
    }

    fn conjunction(&mut self) -> Result<Expression, Failure> {
        let mut left = self.negation()?;
        while self.peek_word().as_deref() == Some("AND") {
            self.take_operator()?;
            left = Expression::Binary(Binary::And, left.into(), self.negation()?.into());
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, Failure> {
        let mut negations = 0;
        while self.peek_word().as_deref() == Some("NOT") {
            self.take_operator()?;
            negations += 1;
        }
        let mut expression = self.comparison()?;
        for _ in 0..negations {
            expression = Expression::Unary(Unary::Not, expression.into());
        }
        Ok(expression)
    }

    /// `a < b < c` is `a < b AND b < c`.
    fn comparison(&mut self) -> Result<Expression, Failure> {
        let mut left = self.predicate()?;
        let mut all: Option<Expression> = None;
        loop {
            let operator = match self.peek() {
                Some(Token::Symbol("=")) => Binary::Equal,
                Some(Token::Symbol("<>")) => Binary::Unequal,
                Some(Token::Symbol("<")) => Binary::Less,
                Some(Token::Symbol("<=")) => Binary::LessOrEqual,
                Some(Token::Symbol(">")) => Binary::Greater,
                Some(Token::Symbol(">=")) => Binary::GreaterOrEqual,
                Some(Token::Symbol("=~")) => {
                    return Err(self.wrong("regular expressions are not supported"));
                }
                _ => return Ok(all.unwrap_or(left)),
            };
            self.take_operator()?;
            let right = self.predicate()?;
            let compared = Expression::Binary(operator, left.into(), right.clone().into());
            all = Some(match all {
                None => compared,
                Some(before) => Expression::Binary(Binary::And, before.into(), compared.into()),
            });
            left = right;
        }
    }

    fn predicate(&mut self) -> Result<Expression, Failure> {
        let mut left = self.sum()?;
        loop {
            let operator = match self.peek_word().as_deref() {
                Some("IN") => Binary::In,
                Some("CONTAINS") => Binary::Contains,
                Some("STARTS") => Binary::StartsWith,
                Some("ENDS") => Binary::EndsWith,
                Some("IS") => {
                    self.take_operator()?;
                    let not = self.take_word("NOT");
                    self.expect_word("NULL")?;
                    let test = if not { Unary::IsNotNull } else { Unary::IsNull };
                    left = Expression::Unary(test, left.into());
                    continue;
                }
                _ => return Ok(left),
            };
            self.take_operator()?;
            if matches!(operator, Binary::StartsWith | Binary::EndsWith) {
                self.expect_word("WITH")?;
            }
            left = Expression::Binary(operator, left.into(), self.sum()?.into());
        }
    }

    fn sum(&mut self) -> Result<Expression, Failure> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Symbol("+")) => Binary::Add,
                Some(Token::Symbol("-")) => Binary::Subtract,
                _ => return Ok(left),
            };
            self.take_operator()?;
            left = Expression::Binary(operator, left.into(), self.product()?.into());
        }
    }

    fn product(&mut self) -> Result<Expression, Failure> {
        let mut left = self.power()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Symbol("*")) => Binary::Multiply,
                Some(Token::Symbol("/")) => Binary::Divide,
                Some(Token::Symbol("%")) => Binary::Remainder,
                _ => return Ok(left),
            };
            self.take_operator()?;
            left = Expression::Binary(operator, left.into(), self.power()?.into());
        }
    }

    fn power(&mut self) -> Result<Expression, Failure> {
        let mut left = self.signed()?;
        while self.next_is_symbol("^") {
            self.take_operator()?;
            left = Expression::Binary(Binary::Power, left.into(), self.signed()?.into());
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expression, Failure> {
        let mut negative = false;
        loop {
            if self.take_symbol("-") {
                negative = !negative;
            } else if !self.take_symbol("+") {
                break;
            }
        }
        let expression = self.with_accesses()?;
        Ok(match expression {
            Expression::Literal(Value::Int(number)) if negative => {
                Expression::Literal(Value::Int(number.wrapping_neg()))
            }
            Expression::Literal(Value::Float(number)) if negative => {
                Expression::Literal(Value::Float(-number))
            }
            expression if negative => Expression::Unary(Unary::Minus, expression.into()),
            expression => expression,
        })
    }

    /// An atom with the properties behind it, as `SET` names them.
    pub fn atom_with_properties(&mut self) -> Result<Expression, Failure> {
        let mut expression = self.atom()?;
        while self.next_is_symbol(".") {
            self.take_operator()?;
            expression = Expression::Property(expression.into(), self.name()?);
        }
        Ok(expression)
    }

    fn with_accesses(&mut self) -> Result<Expression, Failure> {
        let mut expression = self.atom()?;
        loop {
            expression = if self.next_is_symbol(".") {
                self.take_operator()?;
                Expression::Property(expression.into(), self.name()?)
            } else if self.next_is_symbol("[") {
                self.take_operator()?;
                self.index_or_slice(expression)?
            } else if self.next_is_symbol(":") && matches!(expression, Expression::Variable(_)) {
                let mut labels = Vec::new();
                while self.take_symbol(":") {
                    labels.push(self.name()?);
                }
                Expression::HasLabels(expression.into(), labels)
            } else {
                return Ok(expression);
            };
        }
    }

    fn index_or_slice(&mut self, of: Expression) -> Result<Expression, Failure> {
        let first = if self.next_is_symbol("..") { None } else { Some(self.expression()?) };
        if self.take_symbol("..") {
            let last = if self.next_is_symbol("]") { None } else { Some(self.expression()?) };
            self.expect_symbol("]")?;
            return Ok(Expression::Slice(of.into(), first.map(Box::new), last.map(Box::new)));
        }
        self.expect_symbol("]")?;
        let first = first.ok_or_else(|| self.wrong_before("expected an index"))?;
        Ok(Expression::Index(of.into(), first.into()))
    }

    /// What has no operators outside of brackets.
    pub fn atom(&mut self) -> Result<Expression, Failure> {
        match self.next()? {
            Token::Int(number) => Ok(Expression::Literal(Value::Int(*number))),
            Token::Float(number) => Ok(Expression::Literal(Value::Float(*number))),
            Token::String(text) => Ok(Expression::Literal(Value::String(text.clone()))),
            Token::Parameter(name) => Ok(Expression::Parameter(name.clone())),
            Token::Quoted(name) => Ok(Expression::Variable(name.clone())),
            Token::Symbol("(") => {
                let expression = self.expression()?;
                self.expect_symbol(")")?;
                Ok(expression)
            }
            Token::Symbol("[") => self.list(),
            Token::Symbol("{") => self.map(),
            Token::Symbol(_) => Err(self.wrong_before("expected an expression")),
            Token::Word(word) => self.word_atom(word),
        }
    }

    fn word_atom(&mut self, word: &str) -> Result<Expression, Failure> {
        let literal = |value| Ok(Expression::Literal(value));
        match word.to_ascii_uppercase().as_str() {
            "NULL" => return literal(Value::Null),
            "TRUE" => return literal(Value::Bool(true)),
            "FALSE" => return literal(Value::Bool(false)),
            "CASE" => return self.case(),
            "EXISTS" | "COUNT" | "COLLECT" if self.next_is_symbol("{") => {
                return Err(self.wrong("subqueries are not supported"));
            }
            "ALL" | "ANY" | "NONE" | "SINGLE" if self.next_is_symbol("(") => {
                return self.quantified(word);
            }
            _ => {}
        }
        // Names of functions may have dots in them: `point.distance`.
        let (mut name, begin) = (word.to_owned(), self.place());
        while self.take_symbol(".") {
            match self.name() {
                Ok(part) => name = format!("{name}.{part}"),
                Err(_) => break,
            }
        }
        if !self.next_is_symbol("(") {
            self.back_to(begin);
            if begins_clause(word) {
                return Err(self.wrong_before("expected an expression"));
            }
            return Ok(Expression::Variable(word.to_owned()));
        }
        self.function(&name)
    }

    fn function(&mut self, name: &str) -> Result<Expression, Failure> {
        self.expect_symbol("(")?;
        let name = name.to_ascii_lowercase();
        if name == "count" && self.take_symbol("*") {
            self.expect_symbol(")")?;
            return Ok(Expression::CountAll);
        }
        let distinct = self.take_word("DISTINCT");
        let mut arguments = Vec::new();
        if !self.take_symbol(")") {
            arguments = self.expressions()?;
            self.expect_symbol(")")?;
        }
        Ok(Expression::Function { name, distinct, arguments })
    }

    fn quantified(&mut self, quantifier: &str) -> Result<Expression, Failure> {
        self.expect_symbol("(")?;
        let name = self.name()?;
        self.expect_word("IN")?;
        let list = self.expression()?.into();
        self.expect_word("WHERE")?;
        let condition = self.expression()?.into();
        self.expect_symbol(")")?;
        let quantifier = quantifier.to_ascii_lowercase();
        Ok(Expression::Quantified { quantifier, name, list, condition })
    }

    fn list(&mut self) -> Result<Expression, Failure> {
        let begin = self.place();
        if let Ok(name) = self.name()
            && self.take_word("IN")
        {
            let list = self.expression()?.into();
            let condition =
                if self.take_word("WHERE") { Some(self.expression()?.into()) } else { None };
            let result = if self.take_symbol("|") { Some(self.expression()?.into()) } else { None };
            self.expect_symbol("]")?;
            return Ok(Expression::Comprehension { name, list, condition, result });
        }
        self.back_to(begin);
        if self.take_symbol("]") {
            return Ok(Expression::List(Vec::new()));
        }
        let items = self.expressions()?;
        self.expect_symbol("]")?;
        Ok(Expression::List(items))
    }

    fn map(&mut self) -> Result<Expression, Failure> {
        let mut entries = Vec::new();
        if self.take_symbol("}") {
            return Ok(Expression::Map(entries));
        }
        loop {
            let name = self.name()?;
            self.expect_symbol(":")?;
            entries.push((name, self.expression()?));
            if !self.take_symbol(",") {
                self.expect_symbol("}")?;
                return Ok(Expression::Map(entries));
            }
        }
    }

    fn case(&mut self) -> Result<Expression, Failure> {
        let has_operand = self.peek_word().as_deref() != Some("WHEN");
        let operand = if has_operand { Some(self.expression()?.into()) } else { None };
        let mut branches = Vec::new();
        while self.take_word("WHEN") {
            let condition = self.expression()?;
            self.expect_word("THEN")?;
            branches.push((condition, self.expression()?));
        }
        if branches.is_empty() {
            return Err(self.wrong("expected WHEN"));
        }
        let otherwise = if self.take_word("ELSE") { Some(self.expression()?.into()) } else { None };
        self.expect_word("END")?;
        Ok(Expression::Case { operand, branches, otherwise })
    }
}
