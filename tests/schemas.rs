//! The shipped schemas are those of the code, and what is shipped is valid by them.

use std::path::{Path, PathBuf};

use serde_json::Value;

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Compares a shipped schema with the code's; `UPDATE_SCHEMAS=1` writes it anew.
fn is_current(name: &str, schema: &Value) {
    let text = serde_json::to_string_pretty(schema).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(docs(name), &text).expect("written");
    }
    let shipped = std::fs::read_to_string(docs(name)).unwrap_or_default();
    assert!(shipped == text, "docs/{name} is stale: run the tests with UPDATE_SCHEMAS=1");
}

fn problems(schema: &Value, instance: &Value) -> Option<String> {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", schema.clone()).expect("schema");
    let at = compiler.compile("schema.json", &mut schemas).expect("compiles");
    schemas.validate(instance, at).err().map(|error| error.to_string())
}

#[test]
fn the_schema_of_the_configuration_is_current() {
    is_current("shakedown.schema.json", &shakedown::config::json_schema());
}

#[test]
fn the_schema_of_the_report_is_current() {
    is_current("report.schema.json", &shakedown::report::json::schema());
}

#[test]
fn what_init_writes_is_valid_by_the_schema_and_a_mistake_is_not() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let written = std::process::Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .arg("init")
        .current_dir(folder.path())
        .output()
        .expect("program runs");
    assert!(written.status.success(), "{written:?}");
    let text = std::fs::read_to_string(folder.path().join("shakedown.yaml")).expect("written");
    let mut instance: Value = serde_yaml::from_str(&text).expect("YAML");
    let schema = shakedown::config::json_schema();
    assert_eq!(problems(&schema, &instance), None);
    instance["target"]["enviroment"] = "staging".into();
    assert!(problems(&schema, &instance).is_some());
}

#[test]
fn the_report_of_an_empty_state_is_valid_by_its_schema() {
    let report = shakedown::report::json::report(&Default::default());
    let instance = serde_json::to_value(report).expect("JSON");
    assert_eq!(problems(&shakedown::report::json::schema(), &instance), None);
}
