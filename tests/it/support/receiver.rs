//! A receiver of posts over HTTPS, or HTTP: it keeps what came, and answers as it is told to, or as its rules say.

use super::tls::{Authority, ServerTls};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// What it does with a post.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Takes the post and says nothing, as long as the test lasts.
    Hang,
    /// Takes the post and breaks the connection.
    Break,
}

impl Act {
    pub fn answer(status: u16, body: &str) -> Act {
        Act::Answer(status, Vec::new(), body.to_owned())
    }
}

/// A post that came.
#[derive(Clone, Debug)]
pub struct Post {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Post {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is wrong with a post, as status and body; `None` for what is right.
type Rules = fn(&Post) -> Option<(u16, String)>;

struct Shared {
    posts: Mutex<Vec<Post>>,
    acts: Mutex<VecDeque<Act>>,
    rules: Rules,
    is_over: Mutex<bool>,
    over: Condvar,
}

/// A receiver on a port of its own.
pub struct Receiver {
    address: SocketAddr,
    is_tls: bool,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts one that takes everything over HTTP.
    pub fn plain() -> Receiver {
        Receiver::start(None, |_| None)
    }

    /// Starts one over HTTPS with an authority's certificate. What breaks the rules is answered with what they say.
    pub fn secure(authority: &Authority, rules: Rules) -> Receiver {
        Receiver::start(Some(authority.server.clone()), rules)
    }

    fn start(tls: Option<ServerTls>, rules: Rules) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            posts: Mutex::default(),
            acts: Mutex::default(),
            rules,
            is_over: Mutex::default(),
            over: Condvar::new(),
        });
        let is_tls = tls.is_some();
        let for_listener = Arc::clone(&shared);
        let listener = std::thread::spawn(move || {
            let mut connections = Vec::new();
            for stream in listener.incoming() {
                if *for_listener.is_over.lock().unwrap() {
                    break;
                }
                let (shared, tls) = (Arc::clone(&for_listener), tls.clone());
                let stream = stream.unwrap();
                // What breaks is the client's to tell.
                connections.push(std::thread::spawn(move || match tls {
                    Some(tls) => serve(&shared, rustls::StreamOwned::new(tls.session(), stream)),
                    None => serve(&shared, stream),
                }));
            }
            for connection in connections {
                connection.join().unwrap();
            }
        });
        Receiver { address, is_tls, shared, listener: Some(listener) }
    }

    /// Returns the address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http{}://{}{path}", if self.is_tls { "s" } else { "" }, self.address)
    }

    /// Says what is done with the next posts that keep the rules; after them each is answered with 200 `ok`.
    pub fn act(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.acts.lock().unwrap().extend(acts);
    }

    /// Returns what came so far.
    pub fn posts(&self) -> Vec<Post> {
        self.shared.posts.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        *self.shared.is_over.lock().unwrap() = true;
        self.shared.over.notify_all();
        // Wakes the listener.
        TcpStream::connect(self.address).ok();
        let ended = self.listener.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the receiver panicked");
    }
}

/// Serves one post of a connection. What goes wrong with it ends the connection, and the client tells.
fn serve(shared: &Shared, stream: impl Read + Write) {
    let mut stream = BufReader::new(stream);
    let Ok(Some(post)) = read(&mut stream) else { return };
    let broken = (shared.rules)(&post);
    shared.posts.lock().unwrap().push(post);
    let act = match broken {
        Some((status, body)) => Act::Answer(status, Vec::new(), body),
        None => shared.acts.lock().unwrap().pop_front().unwrap_or_else(|| Act::answer(200, "ok")),
    };
    let (status, headers, body) = match act {
        Act::Answer(status, headers, body) => (status, headers, body),
        Act::Break => return,
        Act::Hang => {
            let mut is_over = shared.is_over.lock().unwrap();
            while !*is_over {
                is_over = shared.over.wait(is_over).unwrap();
            }
            return;
        }
    };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    let stream = stream.get_mut();
    stream.write_all(format!("{head}{body}").as_bytes()).and_then(|()| stream.flush()).ok();
}

/// Reads a post; `None` where the connection ends before one.
fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Post>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Post { path, headers, body }))
}
