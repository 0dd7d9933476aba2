//! A small blocking HTTP/1.1 client with one kept-alive connection. A load generator shares the machine with the
//! measured server, so it must be cheap and simple. No TLS, no redirects.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::outcome::{Context, Outcome};

/// A base URL: `http://host:port/path`, split into its parts.
#[derive(Clone, Debug)]
pub struct Base {
    /// `host:port`.
    pub address: String,
    /// The path without a trailing slash; empty for the root.
    pub path: String,
}

impl Base {
    /// Parses a base URL; `https` is refused, because this client has no TLS.
    pub fn parse(url: &str) -> Outcome<Self> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| format!("`{url}` is not an http:// URL"))?;
        let (address, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let address = if address.contains(':') {
            address.to_owned()
        } else {
            format!("{address}:80")
        };
        Ok(Self {
            address,
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    head: String,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> Outcome<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .context(format!("the body is not JSON: {}", self.excerpt()))
    }

    /// The beginning of the body, for an error text.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body)
            .chars()
            .take(300)
            .collect()
    }
}

/// One kept-alive connection; it is opened at the first request and again after the server closed it.
#[derive(Debug)]
pub struct Client {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

impl Client {
    /// A client for one server; it does not connect yet.
    pub fn new(base: &Base) -> Self {
        Self {
            address: base.address.clone(),
            stream: None,
            buffer: Vec::new(),
            request: Vec::new(),
        }
    }

    /// Sends a GET.
    pub fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Outcome<Answer> {
        self.send("GET", path, headers, None)
    }

    /// Sends a POST; the content type is among the headers.
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> Outcome<Answer> {
        self.send("POST", path, headers, Some(body))
    }

    fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Outcome<Answer> {
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n",
            self.address
        )?;
        for (name, value) in headers {
            write!(self.request, "{name}: {value}\r\n")?;
        }
        if let Some(body) = body {
            write!(self.request, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        } else {
            self.request.extend_from_slice(b"\r\n");
        }
        let is_reused = self.stream.is_some();
        let answer = match self.exchange() {
            // A server may close an idle connection at any time; the request was not read, so this is not a
            // failure.
            Err(Broken::BeforeFirstByte(_)) if is_reused => {
                self.stream = None;
                self.exchange()
            }
            other => other,
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(Broken::BeforeFirstByte(why) | Broken::Later(why)) => {
                self.stream = None;
                Err(format!("{method} {path}: {why}").into())
            }
        }
    }

    fn exchange(&mut self) -> Result<Answer, Broken> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.address).map_err(|problem| Broken::Later(problem.to_string()))?,
        };
        let stream = self.stream.insert(stream);
        self.buffer.clear();
        stream
            .write_all(&self.request)
            .map_err(|problem| Broken::BeforeFirstByte(problem.to_string()))?;
        let answer = read_answer(stream, &mut self.buffer)?;
        if answer
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            self.stream = None;
        }
        Ok(answer)
    }
}

/// How an exchange was interrupted; only the first kind may be retried.
enum Broken {
    BeforeFirstByte(String),
    Later(String),
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    Ok(stream)
}

fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Answer, Broken> {
    let head_end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        let is_first = buffer.is_empty();
        read_more(stream, buffer).map_err(|why| {
            if is_first {
                Broken::BeforeFirstByte(why)
            } else {
                Broken::Later(why)
            }
        })?;
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let Some(status) = status else {
        return Err(Broken::Later(format!("not an HTTP answer: {head:?}")));
    };
    let mut answer = Answer {
        status,
        head,
        body: Vec::new(),
    };
    buffer.drain(..head_end);
    if answer
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        answer.body = read_chunks(stream, buffer)?;
    } else {
        let length = answer
            .header("content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        fill(stream, buffer, length)?;
        answer.body.extend_from_slice(&buffer[..length]);
    }
    Ok(answer)
}

fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            if let Some(at) = find(buffer, b"\r\n") {
                break at;
            }
            read_more(stream, buffer).map_err(Broken::Later)?;
        };
        let size = String::from_utf8_lossy(&buffer[..line_end]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16)
            .map_err(|_| Broken::Later(format!("`{size}` is not the size of a chunk")))?;
        buffer.drain(..line_end + 2);
        fill(stream, buffer, size + 2)?;
        body.extend_from_slice(&buffer[..size]);
        buffer.drain(..size + 2);
        if size == 0 {
            return Ok(body);
        }
    }
}

fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Result<(), Broken> {
    while buffer.len() < length {
        read_more(stream, buffer).map_err(Broken::Later)?;
    }
    Ok(())
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), String> {
    let mut piece = [0; 8192];
    match stream.read(&mut piece) {
        Ok(0) => Err("the server closed the connection".to_owned()),
        Ok(count) => {
            buffer.extend_from_slice(&piece[..count]);
            Ok(())
        }
        Err(problem) => Err(problem.to_string()),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Longer than any normal response, so that a hanging server is noticed within a run.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each connection once with the given bytes, and then closes it.
    fn server(answers: Vec<&'static [u8]>) -> Base {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = Base::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(answer).unwrap();
            }
        });
        base
    }

    #[test]
    fn a_base_url_is_taken_apart() {
        let base = Base::parse("http://127.0.0.1:8080/backend/").unwrap();
        assert_eq!(
            (base.address.as_str(), base.path.as_str()),
            ("127.0.0.1:8080", "/backend")
        );
        assert_eq!(
            Base::parse("http://localhost").unwrap().address,
            "localhost:80"
        );
        assert!(Base::parse("https://localhost").is_err());
    }

    #[test]
    fn an_answer_is_read_with_its_length_or_in_chunks() {
        let base = server(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]);
        let answer = Client::new(&base).get("/", &[]).unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, b"{}".as_slice())
        );

        let base = server(vec![b"HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"]);
        let answer = Client::new(&base).post("/", &[("X", "y")], "body").unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (400, b"abcd".as_slice())
        );
    }

    #[test]
    fn a_connection_that_was_closed_in_between_is_opened_again() {
        let ok: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
        let mut client = Client::new(&server(vec![ok, ok]));
        assert_eq!(client.get("/", &[]).unwrap().status, 204);
        assert_eq!(client.get("/", &[]).unwrap().status, 204);
    }
}
