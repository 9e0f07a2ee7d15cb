//! The second path for plain HTTP/1.1 is held equal to hyper's: what is sent, and what every answer,
//! ordinary or hostile, amounts to.

use bytes::BytesMut;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::load::exchange::{Ask, Line};
use crate::load::plain::{Came, Plain};
use crate::run::event::ErrorKind;

/// A server that says the same to every first request of a connection, in these pieces.
struct Script {
    pieces: Vec<Vec<u8>>,
    closes: bool,
    /// Whether the second path may be taken.
    plain: bool,
    /// Everything that was sent to it.
    heard: Rc<RefCell<Vec<u8>>>,
}

const SECOND: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 6\r\n\r\nsecond";

impl Script {
    fn accept(&self) -> DuplexStream {
        let (client, mut server) = tokio::io::duplex(256 * 1024);
        let (pieces, closes) = (self.pieces.clone(), self.closes);
        let heard = Rc::clone(&self.heard);
        tokio::task::spawn_local(async move {
            if !is_asked(&mut server, &heard).await {
                return;
            }
            for piece in pieces {
                if server.write_all(&piece).await.is_err() {
                    return;
                }
                tokio::time::sleep(millis(1)).await;
            }
            while !closes && is_asked(&mut server, &heard).await {
                if server.write_all(SECOND).await.is_err() {
                    return;
                }
            }
        });
        client
    }
}

/// Waits for a whole request; false when there comes none.
async fn is_asked(server: &mut DuplexStream, heard: &RefCell<Vec<u8>>) -> bool {
    let mut request = BytesMut::new();
    loop {
        let head = request.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let body = number_behind(&request, b"content-length: ").unwrap_or_default();
        if head.is_some_and(|head| request.len() >= head + body) {
            heard.borrow_mut().extend_from_slice(&request);
            return true;
        }
        if server.read_buf(&mut request).await.is_ok_and(|n| n == 0) {
            return false;
        }
    }
}

/// The number that stands behind a name.
fn number_behind(bytes: &[u8], name: &[u8]) -> Option<usize> {
    let at = bytes.windows(name.len()).position(|window| window == name)? + name.len();
    let digits: String =
        bytes[at..].iter().map(|b| *b as char).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

impl Dial for Script {
    fn dial(&self) -> Dialling<'_, Connection> {
        Box::pin(Connection::over(self.accept()))
    }

    fn dial_plain(&self) -> Option<Dialling<'_, Box<dyn Stream>>> {
        self.plain.then(|| -> Dialling<'_, Box<dyn Stream>> {
            Box::pin(async { Ok(Box::new(self.accept()) as Box<dyn Stream>) })
        })
    }
}

/// What an answer amounted to: status, headers and body, or which failure; none when it never ended.
type Outcome = Option<Result<(u16, Vec<(String, Vec<u8>)>, Vec<u8>), ErrorKind>>;

async fn outcome(line: &mut Line, ask: &Ask) -> Outcome {
    let fetched = tokio::time::timeout(Duration::from_secs(5), line.fetch(ask)).await;
    if fetched.is_err() {
        line.hang_up();
    }
    Some(match fetched.ok()? {
        Ok(whole) => {
            let headers = whole.headers();
            assert_eq!(whole.sets_cookies(), headers.contains_key("set-cookie"));
            let pair = |(name, value): (&HeaderName, &HeaderValue)| {
                (name.to_string(), value.as_bytes().to_vec())
            };
            let mut headers: Vec<_> = headers.iter().map(pair).collect();
            headers.sort();
            Ok((whole.status.as_u16(), headers, whole.body.to_vec()))
        }
        Err(failure) => Err(failure.kind),
    })
}

fn ask(method: Method, body: Option<&str>) -> Ask {
    Ask {
        method,
        path: "/a/b?c=%20d".into(),
        body: body.map(|body| body.as_bytes().to_vec()),
        accept: "*/*",
        headers: [("x-one", "1"), ("x-two", "zwei")]
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .into_iter()
            .collect(),
    }
}

/// Three requests over one line, and everything that was sent on the way.
fn exchanges(pieces: &[Vec<u8>], closes: bool, plain: bool, ask: &Ask) -> (Vec<Outcome>, Vec<u8>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.expect("runtime"), async {
        let heard = Rc::default();
        let script = Script { pieces: pieces.to_vec(), closes, plain, heard: Rc::clone(&heard) };
        let mut common = HeaderMap::new();
        common.insert("host", HeaderValue::from_static("memory"));
        let mut line = Line::new(Rc::new(script), Rc::new(common));
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            outcomes.push(outcome(&mut line, ask).await);
            // What still comes has come before the next request.
            tokio::time::sleep(millis(100)).await;
        }
        let heard = heard.take();
        (outcomes, heard)
    })
}

fn equal(pieces: &[Vec<u8>], closes: bool, ask: &Ask) -> Vec<Outcome> {
    let (by_hyper, sent_by_hyper) = exchanges(pieces, closes, false, ask);
    let (plain, sent) = exchanges(pieces, closes, true, ask);
    let said: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
    assert_eq!(plain, by_hyper, "to {said:?}, closes {closes}");
    let (sent, by_hyper) =
        (String::from_utf8_lossy(&sent), String::from_utf8_lossy(&sent_by_hyper));
    assert_eq!(sent, by_hyper, "to {said:?}, closes {closes}");
    plain
}

#[test]
fn every_kind_of_request_is_sent_as_hyper_sends_it() {
    let answer = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()];
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        for body in [None, Some("{}"), Some("")] {
            let outcomes = equal(&answer, false, &ask(method.clone(), body));
            assert!(matches!(outcomes[0], Some(Ok((200, ..)))), "{outcomes:?}");
            assert!(matches!(outcomes[1], Some(Ok((202, ..)))), "{outcomes:?}");
        }
    }
}

#[test]
fn what_breaks_readers_is_read_as_hyper_reads_it() {
    let long = "x".repeat(200_000);
    let many: String = (0..101).map(|at| format!("h{at}: v\r\n")).collect();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: ";
    for answer in [
        String::new(),
        "nonsense\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\n\r\nuntil the end".into(),
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
        "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n".into(),
        "HTTP/1.1 304 Not Modified\r\n\r\nrest".into(),
        "HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n".into(),
        "HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n".into(),
        format!("{plain}2\r\n\r\nokrest"),
        format!("{plain}5\r\n\r\nok"),
        format!("{plain}-2\r\n\r\nok"),
        format!("{plain}+2\r\n\r\nok"),
        format!("{plain}\r\n\r\n"),
        format!("{plain}2\r\ncontent-length: 2\r\n\r\nok"),
        format!("{plain}2\r\ncontent-length: 3\r\n\r\nok"),
        format!("{plain}2, 2\r\n\r\nok"),
        format!("{plain}99999999999999999999\r\n\r\nok"),
        format!("{plain}200000\r\n\r\n{long}"),
        format!("{plain}2\r\nconnection: close\r\n\r\nok"),
        format!("{plain}2\r\nconnection: Keep-Alive\r\n\r\nok"),
        format!("{plain}2\r\nconnection: x, close\r\n\r\nok"),
        format!("{plain}2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        format!("{plain}2\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n\r\nok"),
        format!("{plain}2\r\nx: \u{e9}\r\n\r\nok"),
        format!("{plain}2\r\n folded: y\r\n\r\nok"),
        format!("{plain}2\r\n{many}\r\nok"),
        format!("{plain}2\r\nlarge: {long}\r\n\r\nok"),
        format!("{chunked}2\r\nok\r\n0\r\n\r\n"),
        format!("{chunked}2;a=b\r\nok\r\n0\r\n\r\n"),
        format!("{chunked}2\r\nok\r\n0\r\ntrailer: x\r\n\r\n"),
        format!("{chunked}2\r\nokay\r\n0\r\n\r\n"),
        format!("{chunked}2\nok\n0\n\n"),
        format!("{chunked}0x2\r\nok\r\n0\r\n\r\n"),
        format!("{chunked}ffffffffffffffff1\r\nok\r\n0\r\n\r\n"),
        format!("{chunked}30d40\r\n{long}\r\n0\r\n\r\n"),
        format!("{chunked}00002\r\nok\r\n00\r\n\r\nrest"),
        format!("{chunked}\r\n2\r\nok\r\n0\r\n\r\n"),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok".into(),
        "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n".into(),
    ] {
        for closes in [true, false] {
            let whole = answer.clone().into_bytes();
            equal(std::slice::from_ref(&whole), closes, &ask(Method::GET, None));
            let (left, right) = whole.split_at(whole.len() / 2);
            equal(&[left.to_vec(), right.to_vec()], closes, &ask(Method::POST, Some("{}")));
        }
    }
}

/// What is most common goes the second path to its end: hyper has no part in it.
#[test]
fn plain_answers_are_read_without_hyper() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let pieces = vec![answer.as_bytes().to_vec()];
        let script = Script { pieces, closes: false, plain: true, heard: Rc::default() };
        LocalSet::new().block_on(&runtime.expect("runtime"), async {
            let request = b"GET / HTTP/1.1\r\n\r\n";
            let came = Plain::over(Box::new(script.accept())).exchange(request).await;
            assert!(matches!(came, Came::Answer(_, Some(_))), "{answer}");
        });
    }
}

/// Answers that are put together from ordinary and hostile parts.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let status = prop::sample::select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.1 503 x",
        "HTTP/1.1 204 None",
        "HTTP/1.1 304 Same",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 200",
        "HTTP/1.1 100 Go",
        "HTTP/1.1 2000 OK",
        "http/1.1 200 OK",
        "HTTP/1.1  200 OK",
    ]);
    let header = prop::sample::select(vec![
        "content-length: 5",
        "Content-Length: 5",
        "content-length:5 ",
        "content-length: 4",
        "content-length: 0",
        "content-length: 70000",
        "content-length: x",
        "content-length: 5, 5",
        "transfer-encoding: chunked",
        "Transfer-Encoding: Chunked",
        "transfer-encoding: gzip",
        "connection: close",
        "connection: keep-alive",
        "connection: Upgrade",
        "upgrade: h2c",
        "set-cookie: a=b; Path=/",
        "x: y",
        "x:",
        "x : y",
        ": y",
        "x: \t y \t",
        "content-type: text/plain",
    ]);
    let body = prop::sample::select(vec![
        "hello",
        "",
        "hell",
        "hello!",
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nt: v\r\n\r\n",
        "5\r\nhellooo0\r\n\r\n",
        "g\r\n",
        "05\r\nhello\r\n000\r\n\r\n",
    ]);
    (status, prop::collection::vec(header, 0..4), body).prop_map(|(status, headers, body)| {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        format!("{status}\r\n{headers}\r\n{body}").into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_answer_amounts_to_what_hyper_makes_of_it(
        answer in answers(),
        changed in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        closes in any::<bool>(),
    ) {
        let mut answer = answer;
        if let Some((at, byte)) = changed {
            let at = at.index(answer.len());
            answer[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len())).collect();
        cuts.extend([0, answer.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| answer[cut[0]..cut[1]].to_vec()).collect();
        let pieces: Vec<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        equal(&pieces, closes, &ask(Method::GET, None));
    }
}
