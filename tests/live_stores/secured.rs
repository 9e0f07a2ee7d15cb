//! Stores behind TLS with an authority of their own: trusted where it is named, refused where it is not.

use shakedown::backup::stores::open;
use shakedown::config::StoreKind;

use super::drill_of::{Drill, TIMEOUT, difference, live_tls, names, skip};

/// Variables with the authority that signed the servers' certificate, with one that did not, and with
/// none.
const AUTHORITY: &str = "SHAKEDOWN_LIVE_TLS_AUTHORITY";
const NOT_TRUSTED: [&str; 2] = ["SHAKEDOWN_LIVE_TLS_STRANGER", "SHAKEDOWN_LIVE_TLS_NONE"];

/// A round trip behind TLS; and none where the authority is another, or none of ours is named.
pub async fn encrypted(kind: StoreKind) {
    let Some(store) = live_tls(kind, AUTHORITY) else { return skip(kind) };
    let drill = Drill::new(kind, &store, 20).await;
    let identity = drill.store.identify().await.expect("identity");
    drill.fill().await;
    let first = drill.read("first").await;
    let archive = drill.backup("second").await;
    drill.store.destroy().await.expect("destroyed");
    drill.assert_absent().await;
    drill.restore(&archive).await.expect("restored");
    let differs = difference(&first, &drill.read("restored").await);
    assert!(differs.is_none(), "{kind}: restored otherwise: {differs:#?}");
    assert_eq!(drill.store.identify().await.expect("identity"), identity);
    let again = open(kind, &store, &drill.names, TIMEOUT).await.expect("reachable");
    assert_eq!(again.identify().await.expect("identity"), identity, "{kind}: another connection");
    drill.store.destroy().await.expect("removed");
    drill.assert_absent().await;

    for authority in NOT_TRUSTED {
        let store = live_tls(kind, authority).expect("as above");
        let refused = match open(kind, &store, &names(), TIMEOUT).await {
            Ok(opened) => opened.prepare().await.expect_err("not to be trusted").to_string(),
            Err(error) => error.to_string(),
        };
        eprintln!("{kind}: {authority}: {refused}");
        let words = refused.to_lowercase();
        assert!(words.contains("certificate") || words.contains("unknownissuer"), "{refused}");
    }
}
