// SPDX-License-Identifier: MIT
// Previews: sites of the guest's servers in tabs of their own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { BROWSER, launchTabs, makeProfile, servePage } from './browsers.mjs';

/** A site with absolute paths, and programs behind it. */
const SITE = `
mkdir -p /tmp/www/cgi-bin /tmp/www/assets
cat > /tmp/www/index.html <<'END'
<!doctype html>
<html><head><link rel="stylesheet" href="/assets/style.css"><script src="/assets/script.js"></script></head>
<body><h1>Hello</h1></body></html>
END
echo 'h1 { color: rgb(1, 2, 3) }' > /tmp/www/assets/style.css
echo 'globalThis.answer = 42' > /tmp/www/assets/script.js
cat > /tmp/www/cgi-bin/form <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\nSet-Cookie: seen=yes; Path=/\\r\\n\\r\\n'
echo "$REQUEST_METHOD $CONTENT_TYPE [$HTTP_COOKIE] $HTTP_HOST $(cat)"
END
cat > /tmp/www/cgi-bin/away <<'END'
#!/bin/sh
printf 'Status: 302 Found\\r\\nLocation: http://localhost:8080/assets/script.js\\r\\n\\r\\n'
END
cat > /tmp/www/cgi-bin/slow <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\nfirst'
until [ -e /tmp/go ]; do sleep 0.1; done
printf second
END
chmod +x /tmp/www/cgi-bin/*
httpd -p 8080 -h /tmp/www`;

/** HTTP and an echo of WebSocket, for each connection. */
const LIVE = String.raw`
cat > /tmp/live <<'END'
#!/bin/sh
return=$(printf '\r')
key=
read -r method path version
while read -r line; do
  line=${'$'}{line%$return}
  [ -n "$line" ] || break
  case $line in [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:*) key=${'$'}{line#*: } ;; esac
done
if [ -z "$key" ]; then
  page='<!doctype html><title>live</title><script>globalThis.kind = WebSocket.name</script>'
  printf 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n%s' "$page"
  exit
fi
answer=$(printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' "$key" | sha1sum | cut -c1-40 | xxd -r -p | base64)
printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n' "$answer"
while set -- $(dd bs=1 count=6 2>/dev/null | od -An -v -tu1) && [ $# = 6 ]; do
  first=$1 length=$(($2 & 127)) at=0 out=
  shift 2
  for byte in $(dd bs=1 count=$length 2>/dev/null | od -An -v -tu1); do
    eval "mask=\$$((at % 4 + 1))"
    out=$out$(printf '\\%03o' $((byte ^ mask)))
    at=$((at + 1))
  done
  printf "$(printf '\\%03o\\%03o' $first $length)$out"
  [ $first != 136 ] || exit
done
END
chmod +x /tmp/live
tcpsvd -E 0 8081 /tmp/live > /dev/null 2>&1 &`;

/** In the page: boots a machine as the page's own, and runs a line. */
async function boot(line) {
  await auklet.current?.dispose();
  auklet.machine = new auklet.Machine({ cpus: 1, memory: 128, exec: true, network: { type: 'local' } });
  void auklet.ports.serve(auklet.machine);
  await auklet.machine.started;
  return (await auklet.machine.exec(['sh', '-c', line])).status;
}

const run = (page, line) => page.evaluate(async (text) => (await auklet.machine.exec(['sh', '-c', text])).status, line);

/** Waits until a function of the frame is true. Its document may change meanwhile. */
async function until(frame, expression) {
  for (;;) {
    const value = await frame.evaluate(`Boolean(${expression})`).catch(() => false);
    if (value) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The frame of the guest's site in a viewer. */
async function siteOf(viewer, origin) {
  for (;;) {
    const frame = viewer
      .frames()
      .find((each) => each.url().startsWith(`${origin}/`) && !each.url().includes('/auklet-preview'));
    if (frame !== undefined) return frame;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Presses the page's button; resolves with the tab. */
async function open(page, port) {
  await until(
    page,
    `[...document.querySelectorAll('#ports-open button')].some((each) => each.textContent === 'Open port ${port}')`,
  );
  await page.bringToFront();
  const popup = new Promise((resolve) => page.once('popup', resolve));
  const number = await page.evaluate(
    (label) => [...document.querySelectorAll('#ports-open button')].findIndex((each) => each.textContent === label),
    `Open port ${port}`,
  );
  await page.click(`#ports-open button:nth-child(${number + 1})`);
  return popup;
}

test(`previews in ${BROWSER}`, async (suite) => {
  const address = await servePage(suite);
  const { port: serverPort } = new URL(address);
  const origin = (port) => `http://${port}.localhost:${serverPort}`;
  // Playwright turns the partitions of Chromium's storage off.
  const browser = await launchTabs(suite, makeProfile(suite));
  const page = await browser.newPage();
  // A tab that is not seen draws nothing, and then the drivers wait.
  const load = async () => {
    await page.bringToFront();
    await page.goto(`${address}?saving=0`);
    await page.waitForFunction(() => globalThis.auklet !== undefined);
  };
  await load();
  assert.equal(await page.evaluate(boot, SITE + LIVE), 0);

  let viewer;
  let site;
  await suite.test('the page offers open ports, and opens one', async () => {
    await until(page, `document.getElementById('ports-text').textContent.endsWith('8080, 8081.')`);
    viewer = await open(page, 8080);
    site = await siteOf(viewer, origin(8080));
    await until(site, `globalThis.answer === 42`);
    const color = await site.evaluate(() => getComputedStyle(document.querySelector('h1')).color);
    assert.equal(color, 'rgb(1, 2, 3)');
    assert.equal(await viewer.title(), 'Port 8080 – Auklet');
  });

  await suite.test('the site is nobody else’s', async () => {
    const found = await site.evaluate(() => {
      const refused = (act) => {
        try {
          act();
          return false;
        } catch {
          return true;
        }
      };
      return {
        origin: location.origin,
        isolated: crossOriginIsolated,
        parent: refused(() => parent.document),
        opener: refused(() => parent.opener.document),
        top: refused(() => (top.location.href = 'about:blank')),
      };
    });
    // In Firefox all frames of an isolated page are isolated. This one has a process of its own all the same.
    const isolated = BROWSER === 'firefox';
    assert.deepEqual(found, { origin: origin(8080), isolated, parent: true, opener: true, top: true });
  });

  await suite.test('pages from elsewhere get nothing', async (part) => {
    const keeper = `${origin(8080)}/auklet-preview.html`;
    const evil = createServer((_, response) => {
      const script = `globalThis.heard = []; onmessage = ({ data }) => heard.push(data)`;
      const knock = `this.contentWindow.postMessage({ type: 'welcome' }, '*'); globalThis.isLoaded = true`;
      response.setHeader('Content-Type', 'text/html');
      response.end(`<script>${script}</script><iframe src="${keeper}" onload="${knock}"></iframe>`);
    });
    evil.listen(0, '127.0.0.1');
    await once(evil, 'listening');
    part.after(() => (evil.close(), evil.closeAllConnections()));
    const other = await browser.newPage();
    await other.goto(`http://127.0.0.1:${evil.address().port}/`);
    await until(other, 'globalThis.isLoaded');
    // A keeper would have asked for its settings by now, and said hello.
    const settings = `${origin(8080)}/auklet-preview.json`;
    await other.evaluate((url) => fetch(url, { mode: 'no-cors' }).then(() => {}), settings);
    assert.deepEqual(await other.evaluate(() => globalThis.heard), []);
    // Nobody finds more there than a text, without the page's tab around it.
    await other.goto(`${origin(8080)}/`);
    await until(other, `document.body?.textContent.includes('A port of a machine is here only in the tab')`);
    assert.equal(await other.evaluate(() => navigator.serviceWorker.controller), null);
    await other.close();
  });

  await suite.test('a form, cookies, a redirect', async () => {
    const post = () =>
      site.evaluate(async () => {
        const response = await fetch('/cgi-bin/form', { method: 'POST', body: 'a=1' });
        return (await response.text()).trim();
      });
    assert.equal(await post(), 'POST text/plain;charset=UTF-8 [] localhost:8080 a=1');
    assert.equal(await post(), 'POST text/plain;charset=UTF-8 [seen=yes] localhost:8080 a=1');
    const away = await site.evaluate(async () => {
      const response = await fetch('/cgi-bin/away');
      return [response.status, response.url, await response.text()];
    });
    assert.deepEqual(away, [200, `${origin(8080)}/assets/script.js`, 'globalThis.answer = 42\n']);
    assert.equal(await site.evaluate(async () => (await fetch('/none')).status), 404);
    await site.evaluate(() => void (location.href = '/cgi-bin/away'));
    await until(site, `location.pathname === '/assets/script.js'`);
  });

  await suite.test('a body that streams', async () => {
    await site.evaluate(async () => {
      globalThis.reader = (await fetch('/cgi-bin/slow')).body.getReader();
    });
    const read = () =>
      site.evaluate(async () => {
        const { value } = await globalThis.reader.read();
        return new TextDecoder().decode(value);
      });
    assert.equal(await read(), 'first');
    assert.equal(await run(page, 'touch /tmp/go'), 0);
    assert.equal(await read(), 'second');
  });

  await suite.test('a WebSocket, at another port', async () => {
    const other = await open(page, 8081);
    const live = await siteOf(other, origin(8081));
    await until(live, `document.title === 'live' && navigator.serviceWorker.controller !== null`);
    assert.equal(await live.evaluate(() => globalThis.kind), 'WebSocket');
    const said = await live.evaluate(async () => {
      const next = (type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
      const socket = new WebSocket(`ws://${location.host}/live`);
      const kind = [socket instanceof WebSocket, socket.url, socket.readyState];
      await next('open');
      socket.send('hello guest');
      const text = (await next('message')).data;
      socket.binaryType = 'arraybuffer';
      socket.send(new Uint8Array([1, 2, 3]));
      const bytes = [...new Uint8Array((await next('message')).data)];
      socket.close(3001, 'done');
      const { code, reason, wasClean } = await next('close');
      return [...kind, text, bytes, code, reason, wasClean, socket.readyState];
    });
    const url = `ws://8081.localhost:${serverPort}/live`;
    assert.deepEqual(said, [true, url, 0, 'hello guest', [1, 2, 3], 3001, 'done', true, 3]);
    await other.close();
  });

  await suite.test('a server that stops, and begins again', async () => {
    await run(page, 'killall httpd');
    await site.evaluate(() => location.assign('/'));
    await until(site, `document.body?.textContent.includes('Nothing listens at port 8080')`);
    await run(page, 'httpd -p 8080 -h /tmp/www');
    await until(site, `document.querySelector('h1')?.textContent === 'Hello'`);
  });

  await suite.test('a page that is closed, and comes back', async () => {
    await page.goto('about:blank');
    await until(viewer, `document.getElementById('text').textContent.includes('closed')`);
    await load();
    assert.equal(await page.evaluate(boot, SITE), 0);
    // Its opener was this tab, which has been elsewhere: it is opened again.
    const again = await open(page, 8080);
    const shown = await siteOf(again, origin(8080));
    await until(shown, `document.querySelector('h1')?.textContent === 'Hello'`);
    viewer = again;
  });

  await suite.test('a page that is loaded again', async () => {
    await load();
    await until(viewer, `document.getElementById('text').textContent.includes('loads again')`);
    assert.equal(await page.evaluate(boot, SITE), 0);
    const shown = await siteOf(viewer, origin(8080));
    await until(shown, `document.querySelector('h1')?.textContent === 'Hello'`);
  });

  await page.evaluate(() => auklet.current.dispose());
});
