// SPDX-License-Identifier: MIT
// How the page behaves for its visitors, in Chromium: wrong options, drawing, touch, focus, input methods, bell, title, leaving.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROMPT } from '../boot/session.mjs';
import { AT_PROMPT, launchChromium, pageSession, servePage } from './browsers.mjs';

const browsers = {};
let address;

/** A page with its own storage; with `prompt: false`, it is left as it is loaded. */
async function open(suite, { path = '', prompt = true, ...options } = {}) {
  const context = await browsers.chromium.newContext({ viewport: { width: 900, height: 600 }, ...options });
  suite.after(() => context.close());
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(address + path);
  if (!prompt) return { context, page, errors };
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  const session = await pageSession(page);
  await session.waitFor(PROMPT);
  return { context, page, errors, session };
}

const inTerminal = (page) => page.evaluate(() => document.activeElement?.className === 'xterm-helper-textarea');

test('the page', async (suite) => {
  browsers.chromium = await launchChromium(suite);
  address = await servePage(suite);

  for (const [query, message] of [
    ['?memory=abc', /^memory must be a whole number from 32 to 4095 MiB, not abc$/],
    ['?memory=16', /from 32 to 4095 MiB, not 16$/],
    ['?cpus=2.5', /^cpus must be a whole number from 1 to 8, not 2\.5$/],
    ['?cpus=', /^cpus must be .*, not empty$/],
    ['?cpus=0x2', /not 0x2$/],
    ['?cpu=4', /unknown option, cpu\. Known are cpus, memory, arguments, screenreader, saving, network\.$/],
    ['?cpus=1&cpus=2', /the option cpus twice/],
    ['?screenreader=maybe', /screenreader must be 1 or 0, not maybe/],
    ['?constructor=1', /unknown option, constructor/],
  ])
    await suite.test(`${query} is refused`, async (suite) => {
      const { page } = await open(suite, { path: query, prompt: false });
      await page.getByRole('heading', { name: 'Wrong option' }).waitFor();
      assert.match(await page.locator('#overlay-text').innerText(), message);
      assert.equal(await page.evaluate(() => globalThis.auklet?.current), undefined);
    });

  await suite.test('?cpus=3&memory=64 is what the machine has', async (suite) => {
    const { session } = await open(suite, { path: '?cpus=3&memory=64&arguments=quiet' });
    assert.equal(await session.run('grep -c ^processor /proc/cpuinfo; grep -o quiet /proc/cmdline'), '3\nquiet\n');
    const memory = Number(await session.run(`awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo`));
    assert(memory > 40 && memory <= 64, String(memory));
  });

  for (const deviceScaleFactor of [1, 1.25, 1.5, 2])
    await suite.test(`underscores are drawn at ${deviceScaleFactor} pixels a pixel`, async (suite) => {
      // Without a machine, whose shell would draw between.
      const { page } = await open(suite, { path: '?memory=none', prompt: false, deviceScaleFactor });
      await page.waitForFunction(() => globalThis.auklet?.terminal !== undefined);
      await page.getByRole('button', { name: 'Close' }).click();
      const invisible = [];
      for (let fontSize = 10; fontSize <= 20; ++fontSize) {
        const clip = await page.evaluate(async (fontSize) => {
          const { terminal } = auklet;
          terminal.options.fontSize = fontSize;
          // Above a coloured row, over which nothing can be drawn.
          const text = '\x1b[?25l\x1b[2J\x1b[4;1H\x1b[48;2;20;20;60m        \x1b[m\x1b[3;1H________';
          await new Promise((resolve) => terminal.write(text, resolve));
          // The height of rows follows the font with the next picture.
          for (let count = 0; count < 4; ++count) await new Promise(requestAnimationFrame);
          const { x, y, width, height } = document.querySelector('.xterm-screen').getBoundingClientRect();
          const row = height / terminal.rows;
          return { x, y: y + 2 * row, width: (width / terminal.cols) * 8, height: row };
        }, fontSize);
        const picture = await page.screenshot({ clip });
        const columns = await page.evaluate(async (base64) => {
          const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
          const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
          const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
          context.drawImage(image, 0, 0);
          const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
          let drawn = 0;
          // The background is (16, 20, 26), the text (213, 219, 229).
          for (let column = 0; column < width; ++column)
            for (let row = 0; row < height; ++row)
              if (data[4 * (row * width + column)] > 60) {
                ++drawn;
                break;
              }
          return drawn / width;
        }, picture.toString('base64'));
        if (columns < 0.9) invisible.push(`${fontSize} px: ${columns}`);
      }
      assert.deepEqual(invisible, []);
    });

  await suite.test('a finger scrolls, selects and copies; the bar pastes', async (suite) => {
    const { context, page, session } = await open(suite, {
      hasTouch: true,
      isMobile: true,
      viewport: { width: 375, height: 667 },
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    await session.run('seq 300');
    const protocol = await context.newCDPSession(page);
    const touch = (type, ...points) => protocol.send('Input.dispatchTouchEvent', { type, touchPoints: points });
    const row = await page.evaluate(() => {
      const { x, y, height } = document.querySelector('.xterm-screen').getBoundingClientRect();
      return { x, y, height: height / auklet.terminal.rows };
    });
    const viewport = () => page.evaluate(() => auklet.terminal.buffer.active.viewportY);
    const bottom = await viewport();
    await touch('touchStart', { x: 100, y: 150 });
    for (let y = 160; y <= 150 + 10 * row.height; y += 10) await touch('touchMove', { x: 100, y });
    await touch('touchMove', { x: 100, y: 150 + 10 * row.height });
    await touch('touchEnd');
    await page.waitForFunction((bottom) => auklet.terminal.buffer.active.viewportY === bottom - 10, bottom);

    // A long press on the first row's number, and on to the next row.
    const first = await page.evaluate(() => {
      const { active } = auklet.terminal.buffer;
      return active.getLine(active.viewportY).translateToString(true);
    });
    await touch('touchStart', { x: row.x + 3, y: row.y + row.height / 2 });
    await page.waitForFunction((first) => auklet.terminal.getSelection() === first, first);
    await touch('touchMove', { x: row.x + 4, y: row.y + row.height * 1.5 });
    await page.waitForFunction((both) => auklet.terminal.getSelection() === both, `${first}\n${Number(first) + 1}`);
    await touch('touchEnd');
    await page.getByRole('button', { name: 'Copy', exact: true }).tap();
    await page.waitForFunction(async () => (await navigator.clipboard.readText()) !== '');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${first}\n${Number(first) + 1}`);

    await page.evaluate(() => navigator.clipboard.writeText('echo pasted $((40 + 2))'));
    await page.getByRole('button', { name: 'Paste' }).tap();
    await session.waitFor('echo pasted $((40 + 2))');
    await session.write('\r');
    await session.waitFor('\npasted 42\n');
    await session.waitFor(PROMPT);

    // In a program with the whole screen, a drag is the wheel.
    await session.write('seq 300 > /tmp/numbers; vi /tmp/numbers\r');
    await page.waitForFunction(() => auklet.terminal.buffer.active.type === 'alternate');
    await session.waitFor('numbers');
    await touch('touchStart', { x: 100, y: 300 });
    for (let y = 300; y >= 100; y -= 20) await touch('touchMove', { x: 100, y });
    await touch('touchEnd');
    await page.waitForFunction(() => auklet.terminal.buffer.active.cursorY > 5);
    await session.write(':q!\r');
    await session.waitFor(PROMPT);
    // All keys are on the screen.
    const outside = await page.evaluate(() =>
      [...document.querySelectorAll('#keys button')]
        .filter((button) => button.getBoundingClientRect().right > innerWidth + 0.5)
        .map((button) => button.textContent),
    );
    assert.deepEqual(outside, []);
  });

  await suite.test('Tab is typed, and leaves the terminal after Ctrl+M', async (suite) => {
    const { page, session } = await open(suite);
    await page.locator('.xterm-helper-textarea').focus();
    assert.match(
      await page.locator('.xterm-helper-textarea').evaluate((element) => {
        return document.getElementById(element.getAttribute('aria-describedby')).textContent;
      }),
      /Control and M/,
    );
    await page.keyboard.type('cd /et');
    await page.keyboard.press('Tab');
    await session.waitFor('cd /etc/');
    assert.equal(await inTerminal(page), true);
    await page.keyboard.press('Control+m');
    assert.match(await page.locator('#status').innerText(), /Tab leaves the terminal/);
    await page.keyboard.press('Shift+Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'about');
    assert.equal(await page.locator('#tab-moves').getAttribute('aria-pressed'), 'true');
    await page.keyboard.press('Tab');
    assert.equal(await inTerminal(page), true);
    await page.keyboard.press('Control+m');
    assert.equal(await page.locator('#tab-moves').getAttribute('aria-pressed'), 'false');
    await page.keyboard.press('Tab');
    assert.equal(await inTerminal(page), true);
    // Neither Ctrl+M was an Enter.
    await page.keyboard.press('Control+c');
    await session.waitFor(/\^C\s+[^\n]*# $/);
    assert.equal(await session.run('pwd'), '/root\n');
  });

  await suite.test('screen readers: by the address, by the button, and remembered', async (suite) => {
    const { page, session } = await open(suite, { path: '?screenreader' });
    await session.run('echo read this aloud');
    await page.locator('.xterm-accessibility-tree', { hasText: 'read this aloud' }).waitFor({ state: 'attached' });
    assert.equal(await page.locator('#screen-reader').getAttribute('aria-pressed'), 'true');
    await page.goto(address);
    await page.waitForFunction(AT_PROMPT);
    await page.locator('.xterm-accessibility-tree').waitFor({ state: 'attached' });
    await page.locator('#screen-reader').click();
    await page.locator('.xterm-accessibility-tree').waitFor({ state: 'detached' });
    await page.goto(address);
    await page.waitForFunction(AT_PROMPT);
    assert.equal(await page.locator('.xterm-accessibility-tree').count(), 0);
  });

  await suite.test('titles of programs, and the bell', async (suite) => {
    const { page, session } = await open(suite);
    const title = (expected) => page.waitForFunction((expected) => document.title === expected, expected);
    await session.run(`printf '\\033]0;vi notes\\007'`);
    await title('vi notes – Auklet');
    await session.run(`printf '\\033]2;a\\342\\200\\256b  c\\033\\\\'`);
    await title('a b c – Auklet');
    await session.run(`printf '\\033]2;%s\\007' "$(head -c 300 /dev/zero | tr '\\0' x)"`);
    await title(`${'x'.repeat(79)}… – Auklet`);
    await session.run(`printf '\\033]2;\\007'`);
    await title('Auklet');

    await page.evaluate(() => {
      globalThis.rings = 0;
      new MutationObserver(([{ target }]) => (rings += target.classList.contains('bell') ? 1 : 0)).observe(
        document.getElementById('terminal'),
        { attributeFilter: ['class'] },
      );
    });
    await session.run(`printf '\\a'`);
    await page.waitForFunction(() => rings === 1 && !document.getElementById('terminal').classList.contains('bell'));
    // Seen by the visitor: no mark. Behind another window there is one, until the visitor is back.
    assert.equal(await page.title(), 'Auklet');
    await page.evaluate(() => (document.hasFocus = () => false));
    await session.run(`printf '\\a'`);
    await title('🔔 Auklet');
    await page.evaluate(() => dispatchEvent(new Event('focus')));
    await title('Auklet');
  });

  await suite.test('widths of characters', async (suite) => {
    const { page, session } = await open(suite);
    const characters = ['🙂', '✅', '日', 'e\u0301', '👩\u200d👧', '🇯🇵', 'a'];
    const texts = characters.map(
      (text) => `'${[...Buffer.from(text)].map((byte) => `\\${byte.toString(8)}`).join('')}'`,
    );
    const answers = await session.run(
      `old=$(stty -g); stty -echo -icanon min 1; for s in ${texts.join(' ')}; do printf "\\r$s\\033[6n"; dd bs=32 count=1 2>/dev/null | tr '\\033' E; echo; done; stty "$old"`,
    );
    const columns = [...answers.matchAll(/E\[\d+;(\d+)R/g)].map(([, column]) => Number(column));
    assert.deepEqual(columns, [3, 3, 3, 2, 3, 3, 2]);
    // The shell's line editing knows them: each Left goes back over one.
    const column = (expected) =>
      page.waitForFunction((expected) => auklet.terminal.buffer.active.cursorX === expected, expected);
    const start = await page.evaluate(async () => {
      await new Promise((resolve) => auklet.terminal.write('', resolve));
      return auklet.terminal.buffer.active.cursorX;
    });
    await session.write('echo a🙂日✅');
    await column(start + 12);
    for (const back of [10, 8, 6, 5]) {
      await session.write('\x1b[D');
      await column(start + back);
    }
    await session.write('\x03');
  });

  await suite.test('Ctrl-C, Escape and arrows under an input method', async (suite) => {
    const { context, page, session } = await open(suite);
    await page.locator('.xterm-helper-textarea').focus();
    const protocol = await context.newCDPSession(page);
    const press = async (code, modifiers = 0, key = 'Process') => {
      for (const type of ['rawKeyDown', 'keyUp'])
        await protocol.send('Input.dispatchKeyEvent', { type, code, key, modifiers, windowsVirtualKeyCode: 229 });
    };
    const CONTROL = 2;
    await session.write('sh -c "echo ready; exec sleep 1000"\r');
    await session.waitFor(/\nready\n/);
    await press('KeyC', CONTROL);
    await session.waitFor(PROMPT);
    await page.evaluate(() => {
      globalThis.typed = [];
      auklet.terminal.onData((text) => typed.push(text));
    });
    for (const [code, modifiers, key] of [
      ['Escape'],
      ['KeyD', CONTROL, 'd'],
      // As the layout has it, where the browser tells.
      ['KeyQ', CONTROL, 'a'],
      ['BracketLeft', CONTROL],
      ['ArrowUp'],
      // Text: it comes by the input method.
      ['KeyX'],
      ['', 0, 'Unidentified'],
      ['Enter'],
    ])
      await press(code, modifiers, key);
    assert.deepEqual(await page.evaluate(() => typed), ['\x1b', '\x04', '\x01', '\x1b', '\x1b[A']);
  });

  await suite.test('a question before a page in use is left', async (suite) => {
    const { page, session } = await open(suite);
    const questions = [];
    page.on('dialog', (dialog) => {
      questions.push(dialog.type());
      void dialog.accept();
    });
    const asks = async () => {
      questions.length = 0;
      const loaded = page.waitForEvent('load');
      await page.evaluate(() => location.reload());
      await loaded;
      await page.waitForFunction(AT_PROMPT);
      return questions.length;
    };
    // The shell has asked where the cursor is, and the terminal has answered: nobody has typed.
    await page.locator('#terminal').click();
    assert.equal(await asks(), 0);
    await page.locator('.xterm-helper-textarea').focus();
    await page.keyboard.type('poweroff');
    assert.equal(await asks(), 1);
    assert.deepEqual(questions, ['beforeunload']);
    await page.locator('.xterm-helper-textarea').focus();
    await page.keyboard.type('poweroff\n');
    await page.getByRole('heading', { name: 'Powered off' }).waitFor();
    assert.equal(await asks(), 0);
    session.end('over');
  });

  await suite.test('the box of a panic can be closed, and the console read', async (suite) => {
    const { page, session } = await open(suite);
    await session.write('echo c > /proc/sysrq-trigger\r');
    await page.getByRole('heading', { name: 'Kernel panic' }).waitFor();
    await page.keyboard.press('Tab');
    await page.getByRole('button', { name: 'Close' }).click();
    assert.equal(await page.locator('#overlay').isVisible(), false);
    assert.equal(await page.locator('#status').innerText(), 'Kernel panic');
    assert.equal(await inTerminal(page), true);
    await page.evaluate(() => auklet.terminal.selectAll());
    assert.match(await page.evaluate(() => auklet.terminal.getSelection()), /sysrq triggered crash/);
    await page.locator('header').getByRole('button', { name: 'Restart' }).click();
    await page.waitForFunction(AT_PROMPT);
    assert.equal(await page.locator('#restart-again').isVisible(), false);
  });

  await suite.test('and by Escape', async (suite) => {
    const { page, session } = await open(suite);
    await session.write('poweroff -f\r');
    await page.getByRole('heading', { name: 'Powered off' }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#overlay').waitFor({ state: 'hidden' });
  });

  await suite.test('the visitor’s time zone', async (suite) => {
    const { session } = await open(suite, { timezoneId: 'Asia/Tokyo' });
    assert.equal(await session.run('echo $TZ'), 'Asia/Tokyo\n');
  });
});
