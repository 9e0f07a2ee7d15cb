//! What databases and their drivers say when a statement is broken.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// Patterns that nothing but a broken statement brings.
const PATTERNS: [&str; 34] = [
    // PostgreSQL and its drivers
    r"PG::[A-Za-z]*Error",
    r"PSQLException",
    r"psycopg2?\.(?:errors\.|[A-Za-z]*Error)",
    r"asyncpg\.(?:exceptions|[A-Za-z]*Error)",
    r"unterminated quoted (?:string|identifier) at or near",
    r"syntax error at or near",
    r"PostgreSQL.{1,40}ERROR",
    r"invalid input syntax for (?:type )?(?:integer|uuid|numeric|bigint)",
    // MySQL and MariaDB
    r"SQL syntax.{0,80}(?:MySQL|MariaDB)",
    r"You have an error in your SQL syntax",
    r"MySqlException|com\.mysql\.jdbc|MySQLSyntaxErrorException",
    r"pymysql\.err\.",
    r"Unknown column '[^']{1,60}' in '(?:field list|where clause)'",
    // SQLite
    r"SQLITE_ERROR|SQLite3::SQLException|SQLiteException",
    r"sqlite3\.(?:OperationalError|ProgrammingError)",
    r#"near "[^"]{0,40}": syntax error"#,
    r#"unrecognized token: ""#,
    // SQL Server
    r"Unclosed quotation mark after the character string",
    r"Microsoft (?:OLE DB|SQL Server|SQL Native)",
    r"System\.Data\.SqlClient\.SqlException",
    r"Incorrect syntax near '",
    // Oracle
    r"\bORA-(?:00\d{3}|01\d{3})\b",
    r"quoted string not properly terminated",
    r"oracle\.jdbc",
    // DB2, ClickHouse, DuckDB, CockroachDB
    r"DB2 SQL error|SQLCODE=-\d",
    r"DB::Exception: Syntax error",
    r"Parser Error: syntax error at or near",
    // Layers above
    r"SQLSTATE\[?(?:42|22|HY)",
    r"sqlalchemy\.exc\.(?:ProgrammingError|OperationalError|DataError)",
    r"org\.hibernate\.(?:QueryException|exception\.SQLGrammarException)",
    r"SequelizeDatabaseError|QueryFailedError",
    r"PrismaClient(?:Unknown|Known)RequestError",
    r"PDOException",
    // Cypher (Neo4j) takes quotes in the same way
    r"Neo\.ClientError\.Statement\.SyntaxError",
];

static ERRORS: LazyLock<Option<RegexSet>> = LazyLock::new(|| RegexSet::new(PATTERNS).ok());

/// The first error in a text, as it stands there.
pub fn error_in(text: &str) -> Option<String> {
    let first = ERRORS.as_ref()?.matches(text).into_iter().next()?;
    let regex = Regex::new(PATTERNS[first]).ok()?;
    regex.find(text).map(|found| crate::platform::text::clean(found.as_str(), 80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_databases_are_known_and_errors_of_people_are_not() {
        assert!(ERRORS.is_some(), "every pattern compiles");
        for text in [
            "ERROR: syntax error at or near \"'\"",
            "sqlite3.OperationalError: near \"'\": syntax error",
            "You have an error in your SQL syntax; check the manual for MySQL",
            "ORA-01756: quoted string not properly terminated",
            "Unclosed quotation mark after the character string ''.",
        ] {
            assert!(error_in(text).is_some(), "{text}");
        }
        for text in ["internal server error", "invalid character ' in name", "SQL is a language"] {
            assert_eq!(error_in(text), None, "{text}");
        }
    }
}
