//! A statement as it is understood.

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A value that stands in the statement.
    Literal(super::value::Value),
    /// `$name`.
    Parameter(String),
    /// A name that a clause has given.
    Variable(String),
    /// `a.b`.
    Property(Box<Expression>, String),
    /// `a[b]`.
    Index(Box<Expression>, Box<Expression>),
    /// `a[b..c]`.
    Slice(Box<Expression>, Option<Box<Expression>>, Option<Box<Expression>>),
    /// `[a, b]`.
    List(Vec<Expression>),
    /// `{a: b}`.
    Map(Vec<(String, Expression)>),
    /// `[name IN list WHERE condition | result]`.
    Comprehension {
        /// What each element is called.
        name: String,
        /// The list.
        list: Box<Expression>,
        /// Which elements are taken.
        condition: Option<Box<Expression>>,
        /// What becomes of each.
        result: Option<Box<Expression>>,
    },
    /// `all(name IN list WHERE condition)` and its kin.
    Quantified {
        /// `all`, `any`, `none` or `single`.
        quantifier: String,
        /// What each element is called.
        name: String,
        /// The list.
        list: Box<Expression>,
        /// What is asked of each.
        condition: Box<Expression>,
    },
    /// `CASE WHEN a THEN b ELSE c END`; with an operand, each condition is compared with it.
    Case {
        /// What is compared.
        operand: Option<Box<Expression>>,
        /// Conditions with results.
        branches: Vec<(Expression, Expression)>,
        /// The result when no condition holds.
        otherwise: Option<Box<Expression>>,
    },
    /// `name(arguments)`, in small letters.
    Function {
        /// Its name.
        name: String,
        /// Whether each argument counts once.
        distinct: bool,
        /// Its arguments.
        arguments: Vec<Expression>,
    },
    /// `count(*)`.
    CountAll,
    /// `a:Label`.
    HasLabels(Box<Expression>, Vec<String>),
    /// An operator before its operand.
    Unary(Unary, Box<Expression>),
    /// An operator between its operands.
    Binary(Binary, Box<Expression>, Box<Expression>),
}

/// An operator before or after its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `NOT`.
    Not,
    /// `-`.
    Minus,
    /// `IS NULL`.
    IsNull,
    /// `IS NOT NULL`.
    IsNotNull,
}

/// An operator between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Or,
    Xor,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    StartsWith,
    EndsWith,
    Contains,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

/// A node of a pattern.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodePattern {
    /// What it is called.
    pub name: Option<String>,
    /// Labels that it has.
    pub labels: Vec<String>,
    /// Properties that it has.
    pub properties: Option<Expression>,
}

/// Which way a relationship of a pattern goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `-->`.
    Right,
    /// `<--`.
    Left,
    /// `--`.
    Either,
}

/// A relationship of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkPattern {
    /// What it is called.
    pub name: Option<String>,
    /// Types of which it has one; any when there are none.
    pub kinds: Vec<String>,
    /// Properties that it has.
    pub properties: Option<Expression>,
    /// Which way it goes.
    pub direction: Direction,
}

/// A path of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPattern {
    /// What it is called.
    pub name: Option<String>,
    /// Its first node.
    pub first: NodePattern,
    /// What follows.
    pub steps: Vec<(LinkPattern, NodePattern)>,
}

/// What is set or removed.
#[derive(Clone, Debug, PartialEq)]
pub enum SetItem {
    /// `a.b = c`.
    Property(Expression, String, Expression),
    /// `a = {..}`.
    Replace(String, Expression),
    /// `a += {..}`.
    Merge(String, Expression),
    /// `a:Label`.
    Labels(String, Vec<String>),
}

/// What is removed.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoveItem {
    /// `a.b`.
    Property(Expression, String),
    /// `a:Label`.
    Labels(String, Vec<String>),
}

/// What `RETURN` and `WITH` say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projection {
    /// Whether each row counts once.
    pub distinct: bool,
    /// Whether all names stay.
    pub all: bool,
    /// Columns with their names.
    pub items: Vec<(Expression, String)>,
    /// By what they are ordered, and whether the greatest comes first.
    pub order: Vec<(Expression, bool)>,
    /// Rows left out at the beginning.
    pub skip: Option<Expression>,
    /// Most rows.
    pub limit: Option<Expression>,
}

/// A clause.
#[derive(Clone, Debug, PartialEq)]
pub enum Clause {
    /// `MATCH`.
    Match {
        /// Whether a row stays when nothing is found.
        optional: bool,
        /// What is looked for.
        paths: Vec<PathPattern>,
        /// What is asked of it.
        condition: Option<Expression>,
    },
    /// `UNWIND list AS name`.
    Unwind(Expression, String),
    /// `CREATE`.
    Create(Vec<PathPattern>),
    /// `MERGE`.
    Merge {
        /// What is to be there.
        path: PathPattern,
        /// What is set when it was made.
        on_create: Vec<SetItem>,
        /// What is set when it was there.
        on_match: Vec<SetItem>,
    },
    /// `SET`.
    Set(Vec<SetItem>),
    /// `REMOVE`.
    Remove(Vec<RemoveItem>),
    /// `DELETE`, and whether relationships go with their nodes.
    Delete(bool, Vec<Expression>),
    /// `WITH`, and what is asked of its rows.
    With(Projection, Option<Expression>),
    /// `RETURN`.
    Return(Projection),
    /// `CALL name(arguments) YIELD column AS name`.
    Call {
        /// Name of the procedure.
        procedure: String,
        /// Its arguments.
        arguments: Vec<Expression>,
        /// Columns with the names they get; all of them when there are none.
        columns: Vec<(String, String)>,
    },
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Clauses, one after the other.
    Query(Vec<Clause>),
    /// `CREATE CONSTRAINT` or `CREATE INDEX`, and whether it may be there already.
    CreateIndex(super::graph::Index, bool),
    /// `DROP CONSTRAINT` or `DROP INDEX`: its name, whether it is a constraint, and whether it may be
    /// missing.
    DropIndex(String, bool, bool),
}
