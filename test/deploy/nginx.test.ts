import { proxyContract } from "./proxy-contract.ts";

const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

proxyContract({
  file: "nginx.conf",
  program: "nginx",
  everything: "location / {",
  hasCertificate: true,
  changes: (port, certificate) => [
    ["    listen [::]:443 ssl;\n", ""],
    ["listen 443 ssl;", `listen 127.0.0.1:${port}${certificate === undefined ? "" : " ssl"};`],
    ...(certificate === undefined
      ? ([
          [/^ *ssl_certificate .*\n/m, ""],
          [/^ *ssl_certificate_key .*\n/m, ""],
        ] as const)
      : ([
          [/ssl_certificate .*;/, `ssl_certificate ${certificate};`],
          [/ssl_certificate_key .*;/, `ssl_certificate_key ${certificate};`],
        ] as const)),
    ["/var/log/nginx/error.log", "stderr"],
  ],
  // One process, which ends as a whole.
  whole: (sample, folder) => `
    daemon off;
    master_process off;
    pid ${folder}/pid;
    events {}
    http {
      ${TEMPORARY.map((what) => `${what}_temp_path ${folder}/${what};`).join("\n")}
      ${sample}
    }`,
  arguments: (file, folder) => ["-p", folder, "-e", "stderr", "-c", file],
});
