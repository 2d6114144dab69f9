// Opens a page of the demo app in Chromium as a person would, and prints as JSON what it saw:
//   node browser.mjs URL SCREENSHOT NET_LOG
// NET_LOG is a file to which Chromium writes what its network does, frame by frame.
// HOME must have an NSS database that trusts the proxy's CA: nothing here ignores a certificate.
//
// SPDX-License-Identifier: Apache-2.0
import { chromium } from "playwright-core";

const [url, screenshot, netLog] = process.argv.slice(2);
const PATIENCE_MS = 30000;
const CHROMIUM_FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-dev-shm-usage", `--log-net-log=${netLog}`,
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  args: CHROMIUM_FLAGS,
});
const seen = { console: [], sockets: [] };
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 1000 } });
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("console", message => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", error => seen.console.push(`error: ${error.message}`));
  page.on("websocket", socket => seen.sockets.push(socket.url()));

  const response = await page.goto(url);
  seen.status = response.status();
  const security = await response.securityDetails();
  seen.protocol = security && security.protocol;
  seen.issuer = security && security.issuer;
  seen.spoken = await page.evaluate(
    () => performance.getEntriesByType("navigation")[0].nextHopProtocol);

  await page.locator("#live-pill", { hasText: "connected" }).waitFor();
  const first = await page.locator("#live-time").textContent();
  await page.waitForFunction(
    before => !["–", before].includes(document.getElementById("live-time").textContent), first);
  seen.ticked = true;

  await page.locator("#say-text").fill("through both doors ✓");
  await page.locator("#say-button").click();
  seen.echo = await page.locator("#said li .text").first().textContent();

  await page.locator("#session-cipher").filter({ hasNotText: "…" }).waitFor();
  for (const name of ["pill", "version", "cipher", "group", "resumed", "websocket"]) {
    seen[`session_${name}`] = await page.locator(`#session-${name}`).textContent();
  }
  seen.way = await page.locator("#way-browser").textContent();
  await page.locator("#beat-note", { hasText: "median" }).waitFor();
  seen.overflow = await page.evaluate(
    () => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  await page.screenshot({ path: screenshot, fullPage: true });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: screenshot.replace(/\.png$/, "-dark.png"), fullPage: true });
} catch (error) {
  seen.failure = String(error);
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
