// SPDX-License-Identifier: MIT
// The page's parts that need no browser: keys, the key bar, titles, fingers. What they use of a document is made here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { keyBehind } = await source('page/keys.ts');
const { controlCharacter, KeyBar } = await source('page/key-bar.ts');
const { cleanTitle, Title } = await source('page/title.ts');
const { Touch } = await source('page/touch.ts');

/** Sets globals for one test. */
function globals(suite, values) {
  for (const [name, value] of Object.entries(values)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    suite.after(() => {
      if (before === undefined) delete globalThis[name];
      else Object.defineProperty(globalThis, name, before);
    });
  }
}

class Event {
  prevented = false;
  constructor(type, fields = {}) {
    Object.assign(this, { type, cancelable: true }, fields);
  }
  preventDefault() {
    this.prevented = true;
  }
}

class Target {
  listeners = new Map();
  addEventListener(type, listener) {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener]);
  }
  send(type, fields) {
    const event = new Event(type, fields);
    for (const listener of this.listeners.get(type) ?? []) listener(event);
    return event;
  }
}

test('keys behind an input method', (suite) => {
  globals(suite, { KeyboardEvent: Event });
  const press = (fields, compositionEnd = -Infinity) =>
    keyBehind(new Event('keydown', { keyCode: 229, key: 'Process', timeStamp: 1000, ...fields }), compositionEnd);
  for (const [fields, key, keyCode] of [
    [{ code: 'ArrowUp' }, 'ArrowUp', 38],
    [{ code: 'Escape' }, 'Escape', 27],
    [{ code: 'KeyC', ctrlKey: true }, 'c', 67],
    // The letter of the layout, where the browser tells it.
    [{ code: 'KeyQ', key: 'A', ctrlKey: true, shiftKey: true }, 'a', 65],
    [{ code: 'BracketLeft', ctrlKey: true }, '[', 219],
    [{ code: 'Space', ctrlKey: true }, ' ', 32],
  ]) {
    const event = press(fields);
    assert.deepEqual([event?.key, event?.keyCode], [key, keyCode], fields.code);
    assert.equal(event.ctrlKey, fields.ctrlKey);
    assert.equal(event.shiftKey, fields.shiftKey);
  }
  for (const fields of [
    { code: 'KeyC' },
    { code: 'Enter' },
    { code: 'KeyC', ctrlKey: true, altKey: true },
    { code: 'KeyC', ctrlKey: true, metaKey: true },
    { code: 'Digit1', ctrlKey: true },
    { code: 'ArrowUp', keyCode: 38 },
    { code: 'ArrowUp', isComposing: true },
  ])
    assert.equal(press(fields), undefined, JSON.stringify(fields));
  // Safari's report of the key that has ended a composition.
  assert.equal(press({ code: 'Escape' }, 950), undefined);
  assert.equal(press({ code: 'Escape' }, 900)?.key, 'Escape');
});

test('what Ctrl makes of a character', () => {
  for (const [text, control] of [
    ['a', '\x01'],
    ['C', '\x03'],
    ['[', '\x1b'],
    ['_', '\x1f'],
    ['@', '\0'],
    [' ', '\0'],
    ['?', '\x7f'],
    ['1', '1'],
    ['é', 'é'],
    ['ab', 'ab'],
    ['', ''],
    ['\x1b[A', '\x1b[A'],
  ])
    assert.equal(controlCharacter(text), control, JSON.stringify(text));
});

class Element extends Target {
  children = [];
  attributes = {};
  hidden = false;
  append(child) {
    this.children.push(child);
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
}

test('the key bar', (suite) => {
  const touch = Object.assign(new Target(), { matches: false });
  globals(suite, { document: { createElement: () => new Element() }, matchMedia: () => touch });
  const element = new Element();
  const typed = [];
  const bar = new KeyBar(element, {
    type: (input) => typed.push(input),
    copy: () => typed.push('copy'),
    paste: () => typed.push('paste'),
  });
  assert.equal(element.hidden, true, 'there is a keyboard');
  touch.matches = true;
  touch.send('change');
  assert.equal(element.hidden, false);
  const key = (label) => element.children.find(({ textContent }) => textContent === label);
  const press = (label) => key(label).send('click');
  assert.equal(key('Tab').send('pointerdown').prevented, true, 'the focus stays on the terminal');
  for (const label of ['Esc', '^C', '↑', 'PgDn', 'Copy', 'Paste', '|']) press(label);
  assert.deepEqual(typed.splice(0), ['\x1b', '\x03', '\x1b[A', '\x1b[6~', 'copy', 'paste', '|']);

  const down = () => key('Ctrl').attributes['aria-pressed'];
  assert.equal(down(), 'false');
  press('Ctrl');
  assert.equal(down(), 'true');
  assert.equal(bar.filter('d'), '\x04');
  assert.equal(down(), 'false');
  assert.equal(bar.filter('d'), 'd');
  press('Ctrl');
  press('Ctrl');
  assert.equal(bar.filter('d'), 'd');
  press('Ctrl');
  press('/');
  press('-');
  assert.deepEqual(typed, ['/', '-'], 'Ctrl is for one key');
});

test('titles that people can read', () => {
  for (const [title, clean] of [
    ['vi notes.txt', 'vi notes.txt'],
    ['  a\tb\n\x1b[1mc  ', 'a b [1mc'],
    // These change the direction of writing.
    ['abc\u202etxt.exe', 'abc txt.exe'],
    ['a\u2028b\u200fc', 'a b c'],
    ['', ''],
    ['x'.repeat(80), 'x'.repeat(80)],
    ['x'.repeat(81), `${'x'.repeat(79)}…`],
    ['🐧'.repeat(81), `${'🐧'.repeat(79)}…`],
  ])
    assert.equal(cleanTitle(title), clean);
});

test('the tab’s title, and its bell', (suite) => {
  const page = Object.assign(new Target(), { title: '', hidden: false, focused: true, hasFocus: () => page.focused });
  const window = new Target();
  globals(suite, { document: page, addEventListener: window.addEventListener.bind(window) });
  const title = new Title();
  title.set('top');
  assert.equal(page.title, 'top – Auklet');
  title.set('');
  assert.equal(page.title, 'Auklet');
  title.bell();
  assert.equal(page.title, 'Auklet', 'who looks has heard it');
  page.focused = false;
  title.bell();
  assert.equal(page.title, '🔔 Auklet');
  title.set('done');
  assert.equal(page.title, '🔔 done – Auklet');
  page.hidden = true;
  page.send('visibilitychange');
  assert.equal(page.title, '🔔 done – Auklet');
  page.hidden = false;
  page.send('visibilitychange');
  assert.equal(page.title, 'done – Auklet');
});

/** A terminal of 10 columns and 4 rows with cells of 10 by 20 pixels, scrolled to row 100; each row is "ab cd     ". */
function terminal(suite, { alternate = false, mouse = 'none' } = {}) {
  suite.mock.timers.enable({ apis: ['setTimeout'] });
  const calls = [];
  const cell = (text) => ({ getWidth: () => 1, getChars: () => text });
  const screen = Object.assign(new Target(), {
    getBoundingClientRect: () => ({ left: 0, top: 0, width: 100, height: 80 }),
    dispatchEvent: (event) => calls.push(['wheel', event.deltaY]),
  });
  class WheelEvent extends Event {}
  WheelEvent.DOM_DELTA_LINE = 1;
  globals(suite, { WheelEvent });
  const element = Object.assign(new Target(), { querySelector: () => screen });
  new Touch(
    {
      cols: 10,
      rows: 4,
      buffer: {
        active: {
          type: alternate ? 'alternate' : 'normal',
          viewportY: 100,
          getLine: () => ({
            getCell: (index) => ('ab cd     '[index] === undefined ? undefined : cell('ab cd     '[index])),
          }),
        },
      },
      modes: { mouseTrackingMode: mouse },
      scrollLines: (rows) => calls.push(['scroll', rows]),
      select: (column, row, length) => calls.push(['select', column, row, length]),
    },
    element,
  );
  const at = (x, y) => ({ touches: [{ clientX: x, clientY: y }] });
  return { calls, element, at, wait: (milliseconds) => suite.mock.timers.tick(milliseconds) };
}

test('a drag scrolls by whole rows', (suite) => {
  const { calls, element, at, wait } = terminal(suite);
  element.send('touchstart', at(50, 60));
  assert.equal(element.send('touchmove', at(50, 55)).prevented, false, 'it rests still');
  assert.equal(element.send('touchmove', at(50, 45)).prevented, true);
  element.send('touchmove', at(50, 41));
  assert.deepEqual(calls, [], 'less than a row');
  element.send('touchmove', at(50, 40));
  element.send('touchmove', at(50, 0));
  element.send('touchmove', at(50, 20));
  assert.deepEqual(calls, [
    ['scroll', 1],
    ['scroll', 2],
    ['scroll', -1],
  ]);
  wait(10_000);
  assert.equal(element.send('touchend', { touches: [] }).prevented, true, 'no click follows');
  assert.equal(calls.length, 3, 'a drag does not select');
});

test('a program with the whole screen, or with the mouse, gets the wheel', (suite) => {
  for (const options of [{ alternate: true }, { mouse: 'any' }]) {
    suite.mock.timers.reset();
    const { calls, element, at } = terminal(suite, options);
    element.send('touchstart', at(50, 60));
    element.send('touchmove', at(50, 20));
    assert.deepEqual(calls, [
      ['wheel', 1],
      ['wheel', 1],
    ]);
  }
});

test('a long press selects a word, a drag after it more', (suite) => {
  const { calls, element, at, wait } = terminal(suite);
  element.send('touchstart', at(35, 25));
  wait(499);
  assert.deepEqual(calls, []);
  assert.equal(element.send('contextmenu').prevented, true);
  wait(1);
  assert.deepEqual(calls.splice(0), [['select', 3, 101, 2]]);
  element.send('touchmove', at(5, 25));
  assert.deepEqual(calls.splice(0), [['select', 0, 101, 5]], 'from the word before');
  element.send('touchmove', at(45, 45));
  assert.deepEqual(calls.splice(0), [['select', 3, 101, 12]], 'to the next row');
  // Beyond the edge is the last cell, and a blank is a word of its own.
  element.send('touchmove', at(500, 25));
  assert.deepEqual(calls.splice(0), [['select', 3, 101, 7]]);
  assert.equal(element.send('touchend', { touches: [] }).prevented, true);
  assert.equal(element.send('contextmenu').prevented, false);
});

test('a tap and two fingers are the browser’s', (suite) => {
  const { calls, element, at, wait } = terminal(suite);
  element.send('touchstart', at(35, 25));
  assert.equal(element.send('touchend', { touches: [] }).prevented, false);
  wait(1000);
  element.send('touchstart', {
    touches: [
      { clientX: 1, clientY: 1 },
      { clientX: 2, clientY: 2 },
    ],
  });
  assert.equal(element.send('touchmove', at(50, 0)).prevented, false);
  element.send('touchstart', at(35, 25));
  element.send('touchcancel');
  wait(1000);
  assert.deepEqual(calls, []);
});
