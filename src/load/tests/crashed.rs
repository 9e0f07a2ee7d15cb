//! A user that crashes: what it would have done is missing, and that is known.

use std::sync::atomic::Ordering;

use super::*;

const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: ask
    service: rag
    executor: constant-vus
    vus: 2
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

/// Nobody comes through it.
struct Trap;

impl Dial for Trap {
    fn dial(&self) -> Dialling<'_, Connection> {
        panic!("a trap")
    }

    fn dial_plain(&self) -> Option<Dialling<'_, Box<dyn Stream>>> {
        panic!("a trap")
    }
}

#[test]
fn a_user_that_crashes_is_not_taken_for_one_that_has_left() {
    let length = Duration::from_secs(1);
    let common = Arc::new(common(platform(WORKLOAD), length));
    let nobody = |_| std::future::pending();
    in_virtual_time(drive(&common, length, 1, || Rc::new(Trap) as Rc<dyn Dial>, nobody));
    assert!(common.crashed.load(Ordering::Relaxed));
}
