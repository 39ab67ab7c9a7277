//! Recordings that an agent names, from a server with TLS on this machine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use dialbridge_lab::served::Served;
use dialbridge_net::dial::Tcp;
use dialbridge_net::guarded::{AllowedHosts, Guarded};
use dialbridge_net::hosts::{HostList, NameRule};
use dialbridge_tests::Authority;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

/// A server that answers each path with a redirect to the path after it: `/3` leads to `/2`, and `/0` is a recording.
/// `/to/HOST` leads to another host.
struct Recordings {
    authority: Authority,
    front: Served,
    requests: Arc<AtomicUsize>,
    _serving: Served,
}

impl Recordings {
    async fn start() -> Self {
        dialbridge_net::tls::install_crypto();
        let requests = Arc::new(AtomicUsize::new(0));
        let serving = Served::on_loopback(requests.clone(), |requests, stream| async move {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.is_ok_and(|read| read > 0) {}
            requests.fetch_add(1, Ordering::Relaxed);
            let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let location = match (path.parse::<u32>(), path.strip_prefix("to/")) {
                (Ok(0), _) => None,
                (Ok(left), _) => Some(format!("/{}", left - 1)),
                (_, Some(elsewhere)) => Some(elsewhere.replacen(':', "://", 1)),
                _ => Some("/0".to_owned()),
            };
            let answer = location.map_or("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\naudio".to_owned(), |location| {
                format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            });
            // A client that breaks off does not concern the server.
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let serving = serving.await.unwrap();
        let authority = Authority::for_names(&["localhost", "127.0.0.1"]);
        let front = authority.before_http(serving.address()).await;
        Self { authority, front, requests, _serving: serving }
    }

    fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Fetches a recording from this server, with this list of `PROMPT_HOSTS`.
    async fn fetched(&self, hosts: &str, url: &str) -> Result<Bytes, String> {
        let hosts = AllowedHosts { public: true, named: HostList::parse(hosts, NameRule::Exact).unwrap() };
        let tls = (*self.authority.client()).clone();
        let client = |dial: Arc<dyn dialbridge_net::dial::Dial>| HttpClient::with_tls(dial, tls.clone());
        let named = client(Arc::new(Guarded::new(Arc::new(Tcp), hosts)));
        let clients = PromptClients { configured: client(Arc::new(Tcp)), named };
        let prompts = Prompts::new(clients, Auth::none(), PromptsConfig::default());
        prompts.fetch(&url.replace("PORT", &self.address().port().to_string()), "en-US", &SpeechConfig::default()).await
    }
}

#[tokio::test]
async fn a_recording_on_this_machine_is_fetched_only_if_prompt_hosts_names_it() {
    let recordings = Recordings::start().await;
    for (hosts, url) in [
        ("localhost", "https://localhost:PORT/0"),
        ("127.0.0.1", "https://127.0.0.1:PORT/0"),
        ("127.0.0.0/8", "https://127.0.0.1:PORT/0"),
        ("127.0.0.0/8,::1", "https://localhost:PORT/0"),
    ] {
        assert_eq!(recordings.fetched(hosts, url).await.unwrap(), "audio", "{hosts}");
    }
    let came = recordings.requests.load(Ordering::Relaxed);
    for (hosts, url) in [
        ("", "https://localhost:PORT/0"),
        ("", "https://127.0.0.1:PORT/0"),
        ("", "https://127.1:PORT/0"),
        ("", "https://2130706433:PORT/0"),
        ("", "https://[::ffff:127.0.0.1]:PORT/0"),
        ("", "https://0.0.0.0:PORT/0"),
        ("10.0.0.0/8,cdn.example.com", "https://localhost:PORT/0"),
        ("localhost", "https://127.0.0.1:PORT/0"),
        ("localhost:1", "https://localhost:PORT/0"),
    ] {
        let refused = recordings.fetched(hosts, url).await.unwrap_err();
        // A number is no name in a certificate either.
        let is_told = refused.contains("PROMPT_HOSTS does not allow") || refused.contains("invalid dns name");
        assert!(is_told, "{hosts} {url}: {refused}");
    }
    assert_eq!(recordings.requests.load(Ordering::Relaxed), came, "nothing was sent to a host that is refused");
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_each_host_is_checked() {
    let recordings = Recordings::start().await;
    assert_eq!(recordings.fetched("localhost", "https://localhost:PORT/5").await.unwrap(), "audio");
    let endless = recordings.fetched("localhost", "https://localhost:PORT/6").await.unwrap_err();
    assert!(endless.contains("redirected more than 5 times"), "{endless}");
    let port = recordings.address().port();
    let refused = recordings.fetched("localhost", &format!("https://localhost:PORT/to/https:127.0.0.1:{port}/0")).await;
    assert!(refused.clone().unwrap_err().contains("PROMPT_HOSTS does not allow 127.0.0.1"), "{refused:?}");
    for plain in ["http:localhost/0", "http:169.254.169.254/latest"] {
        let refused = recordings.fetched("localhost", &format!("https://localhost:PORT/to/{plain}")).await.unwrap_err();
        assert!(refused.contains("not https:"), "{refused}");
    }
}
