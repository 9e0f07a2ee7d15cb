//! Why a statement failed, with the code by which Neo4j's clients know it.

/// Codes. <https://neo4j.com/docs/status-codes/current/errors/all-errors/>
pub mod code {
    /// The statement has another form.
    pub const SYNTAX: &str = "Neo.ClientError.Statement.SyntaxError";
    /// A value has another type.
    pub const TYPE: &str = "Neo.ClientError.Statement.TypeError";
    /// A value is none that can be used.
    pub const ARGUMENT: &str = "Neo.ClientError.Statement.ArgumentError";
    /// A parameter is missing.
    pub const PARAMETER: &str = "Neo.ClientError.Statement.ParameterMissing";
    /// Something was deleted meanwhile.
    pub const NOT_FOUND: &str = "Neo.ClientError.Statement.EntityNotFound";
    /// A constraint forbids it.
    pub const CONSTRAINT: &str = "Neo.ClientError.Schema.ConstraintValidationFailed";
    /// The graph does not hold to a new constraint.
    pub const CONSTRAINT_CREATION: &str = "Neo.ClientError.Schema.ConstraintCreationFailed";
    /// There is such a constraint or index already.
    pub const EXISTS: &str = "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists";
    /// There is no such constraint or index.
    pub const NO_RULE: &str = "Neo.DatabaseError.Schema.SchemaRuleNotFound";
    /// There is no such procedure.
    pub const NO_PROCEDURE: &str = "Neo.ClientError.Procedure.ProcedureNotFound";
    /// Wrong credentials.
    pub const UNAUTHORIZED: &str = "Neo.ClientError.Security.Unauthorized";
    /// The request makes no sense now.
    pub const REQUEST: &str = "Neo.ClientError.Request.Invalid";
    /// Another transaction has held the graph for too long.
    pub const LOCKED: &str = "Neo.TransientError.Transaction.LockAcquisitionTimeout";
    /// There is no room left.
    pub const MEMORY: &str = "Neo.TransientError.General.MemoryPoolOutOfMemoryError";
    /// There is no such database.
    pub const NO_DATABASE: &str = "Neo.ClientError.Database.DatabaseNotFound";
}

/// Why a statement failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What kind of failure.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A value of another type than expected.
    pub fn expected(what: &str, got: &super::value::Value) -> Self {
        Self::new(code::TYPE, format!("Type mismatch: expected {what} but was {}", got.kind()))
    }
}
