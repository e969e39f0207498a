//! A real nginx on a free port.

use std::{fs, net::SocketAddr};

use crate::serve::{free_port, server::Server};

/// Its program, also where Debian puts it: that is not on the path of who is not root.
pub(crate) const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// A folder of files, served twice. It ends with the test.
pub(crate) struct Nginx {
    _server: Server,
    /// Where responses say how long they are.
    pub(crate) sized: SocketAddr,
    /// Where they are chunked.
    pub(crate) chunked: SocketAddr,
}

impl Nginx {
    /// Serves these files as FHIR: paths and bytes. None if there is no nginx here, which is said.
    pub(crate) fn start<'a>(files: impl IntoIterator<Item = (String, &'a [u8])>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join("files").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let [sized, chunked] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        fs::write(folder.path().join("nginx.conf"), conf(sized, chunked)).unwrap();
        let arguments = ["-e", "stderr", "-p", ".", "-c", "nginx.conf"];
        let server = Server::start("nginx", &PROGRAMS, &arguments, folder, &[sized, chunked])?;
        Some(Self { _server: server, sized, chunked })
    }
}

/// One process, which is the child, and nothing outside of its folder.
///
/// A response that server-side includes could change is of no known length, so it is chunked.
fn conf(sized: SocketAddr, chunked: SocketAddr) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;
         events {{}}
         http {{
           access_log off; default_type application/fhir+json;
           client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;
           scgi_temp_path t5; root files;
           server {{ listen {sized}; }}
           server {{ listen {chunked}; ssi on; ssi_types application/fhir+json; }}
         }}"
    )
}
