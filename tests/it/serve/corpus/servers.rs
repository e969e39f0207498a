//! The other proxies, as they are without being told to be strict or lenient, before an upstream that
//! says which requests it got.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::serve::{free_port, nginx, server::Server};

/// How many requests came with each mark.
pub(super) type Recorded = Arc<Mutex<HashMap<String, usize>>>;

/// An upstream that answers each whole request, and keeps the mark of it: the last part of its path.
pub(super) fn recording() -> (SocketAddr, Recorded) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let recorded = Recorded::default();
    let marks = Arc::clone(&recorded);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let marks = Arc::clone(&marks);
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                while let Some(path) = request(&mut reader) {
                    let mark: String = path
                        .split('m')
                        .next_back()
                        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
                        .unwrap_or_default();
                    *marks.lock().unwrap().entry(format!("m{mark}")).or_default() += 1;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":1}";
                    if reader.get_mut().write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, recorded)
}

/// The target of the next whole request.
fn request(from: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let header = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    if header("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            from.read_line(&mut line).ok()?;
            let size = line.trim().split(';').next()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            if size == 0 {
                break;
            }
            from.read_exact(&mut vec![0; size + 2]).ok()?;
        }
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if from.read_line(&mut line).ok()? == 0 {
                return None;
            }
        }
    } else if let Some(length) = header("content-length") {
        from.read_exact(&mut vec![0; length.parse().ok()?]).ok()?;
    }
    Some(text.split(' ').nth(1)?.to_owned())
}

/// Another proxy that runs.
pub(super) struct Running {
    _server: Server,
    pub(super) address: SocketAddr,
    pub(super) recorded: Recorded,
}

/// Another proxy: its settings for an address and an upstream, and how it is started in their folder.
pub(super) struct Other {
    pub(super) name: &'static str,
    programs: &'static [&'static str],
    settings: fn(SocketAddr, SocketAddr) -> String,
    arguments: &'static [&'static str],
}

/// Whoever waits for a client does so for two seconds.
pub(super) const OTHERS: [Other; 3] = [
    Other {
        name: "nginx",
        programs: &nginx::PROGRAMS,
        settings: |address, upstream| {
            format!(
                "daemon off; master_process off; pid nginx.pid; error_log stderr;
                 events {{}}
                 http {{
                   access_log off; client_header_timeout 2s; client_body_timeout 2s; keepalive_timeout 2s;
                   client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
                   uwsgi_temp_path t4; scgi_temp_path t5;
                   server {{
                     listen {address};
                     location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1;
                                   proxy_set_header Connection \"\"; proxy_set_header Host $http_host; }}
                   }}
                 }}"
            )
        },
        arguments: &["-e", "stderr", "-p", ".", "-c", "settings"],
    },
    Other {
        name: "HAProxy",
        programs: &["haproxy", "/usr/sbin/haproxy"],
        settings: |address, upstream| {
            format!(
                "defaults\n mode http\n timeout connect 2s\n timeout client 2s\n timeout server 5s\n \
                 timeout http-request 2s\n timeout http-keep-alive 2s\nfrontend f\n bind {address}\n \
                 default_backend b\nbackend b\n server s {upstream}\n"
            )
        },
        arguments: &["-db", "-f", "settings"],
    },
    Other {
        name: "Envoy",
        programs: &[concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python/bin/envoy"), "envoy"],
        settings: |address, upstream| {
            let listen = format!("{{address: {}, port_value: {}}}", address.ip(), address.port());
            let to = format!("{{address: {}, port_value: {}}}", upstream.ip(), upstream.port());
            format!(
                "static_resources:
  listeners:
  - address: {{socket_address: {listen}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          request_headers_timeout: 2s
          stream_idle_timeout: 2s
          common_http_protocol_options: {{idle_timeout: 2s}}
          delayed_close_timeout: 0.5s
          route_config:
            virtual_hosts:
            - {{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: up}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: up
    connect_timeout: 2s
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {to}}}}}}}]}}]
"
            )
        },
        arguments: &[
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "-l",
            "error",
            "-c",
            "settings.yaml",
        ],
    },
];

impl Other {
    /// None if it is not here, which is said.
    pub(super) fn start(&self) -> Option<Running> {
        let (upstream, recorded) = recording();
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        for name in ["settings", "settings.yaml"] {
            fs::write(folder.path().join(name), (self.settings)(address, upstream)).unwrap();
        }
        let server = Server::start(self.name, self.programs, self.arguments, folder, &[address])?;
        Some(Running { _server: server, address, recorded })
    }
}
