#!/usr/bin/env node
// Starts the binary that npm has installed beside this for the platform.
"use strict";

const { spawn } = require("node:child_process");

const name = `share-tunnel-${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/share${process.platform === "win32" ? ".exe" : ""}`);
} catch {
  console.error(`share: there is no ${name} here: install without --omit=optional, or use another way to install share`);
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });

// What a terminal sends goes to the child as well, and a second signal would cut it.
const shown = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal === "SIGTERM" || !shown) child.kill(signal);
  });
}

child.on("error", (err) => {
  console.error(`share: ${err.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
