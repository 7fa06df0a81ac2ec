import { proxyContract } from "./proxy-contract.ts";

proxyContract({
  file: "haproxy.cfg",
  program: "haproxy",
  everything: "default_backend deaddrop",
  hasCertificate: true,
  changes: (port, certificate) =>
    certificate === undefined
      ? [[/bind :::443 v4v6 ssl crt .*/, `bind 127.0.0.1:${port}`]]
      : [
          [":::443 v4v6", `127.0.0.1:${port}`],
          ["/etc/haproxy/relay.example.com.pem", certificate],
        ],
  whole: (sample) => `global\n    maxconn 200\n\n${sample}`,
  arguments: (file) => ["-db", "-f", file],
});
