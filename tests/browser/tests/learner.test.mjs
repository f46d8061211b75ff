// The whole of a learner's hour in one browser tab: a click, a network, OSPF typed by hand, a reload, a crash of the server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, Labwire } from '../labwire.mjs';
import { barriers, hasKeyboard, openConsole, part, READY_WITHIN_MS, reads, run, type } from '../pages.mjs';

const TRIANGLE = {
  r1: ['10.0.12.0/30', '10.0.13.0/30', '10.1.0.0/24'],
  r2: ['10.0.12.0/30', '10.0.23.0/30'],
  r3: ['10.0.13.0/30', '10.0.23.0/30', '10.3.0.0/24'],
};
const FULL_WITHIN_MS = 60_000;
let labwire;
let page;
let link;

before(async () => {
  labwire = await Labwire.start();
  page = await labwire.tab();
  link = labwire.learner('Ada Lovelace', 'ospf-triangle');
});
after(() => labwire?.stop());

/** Runs the checks until all of `ids` have passed: OSPF needs its seconds. */
async function passes(...ids) {
  await part(page, 'view-checks').click();
  await eventually(() => `checks ${ids}`, FULL_WITHIN_MS, async () => {
    await part(page, 'run-checks').click();
    await page.waitForFunction(() => !document.querySelector('[data-testid="run-checks"]').disabled, null, { timeout: 30_000 });
    const passed = await Promise.all(ids.map((id) => part(page, 'checks').getByTestId(`check-${id}`).getAttribute('data-passed')));
    return passed.every((one) => one === 'true');
  });
}

test('a click shows each step of the start, then a prompt', async () => {
  await page.goto(link);
  const first = await Promise.race([
    part(page, 'progress').waitFor().then(() => 'progress'),
    part(page, 'workbench').waitFor({ timeout: READY_WITHIN_MS }).then(() => 'workbench'),
  ]);
  assert.equal(first, 'progress', 'the page says what happens before the lab is there');
  await part(page, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  assert.doesNotMatch(page.url(), /token/, 'the link is out of the address');
  await reads(page, /r1# *$/);
});

test('what is typed goes into the console: as the lab opens, after a click on the map or on a tab', async () => {
  await page.reload();
  await part(page, 'workbench').waitFor();
  await hasKeyboard(page, 'r1');
  await type(page, 'show version');
  await reads(page, /r1# show version/);

  await part(page, 'node-r2').click();
  await hasKeyboard(page, 'r2');
  await type(page, 'show version');
  await reads(page, /r2# show version/);
  await part(page, 'node-r3').focus();
  await page.keyboard.press('Enter');
  await hasKeyboard(page, 'r3');

  await part(page, 'tab-h1').click();
  await hasKeyboard(page, 'h1');
  await type(page, 'echo by-the-tab');
  await reads(page, /^by-the-tab$/m);

  // who walks along the tabs by key stays there
  await part(page, 'tab-h1').focus();
  await page.keyboard.press('ArrowRight');
  await part(page, 'screen-h2').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'tab-h2');
});

test('checks fail before anything was typed, with a hint', async () => {
  await part(page, 'view-checks').click();
  await part(page, 'run-checks').click();
  const check = part(page, 'check-neighbours');
  await page.waitForFunction(() => document.querySelector('[data-testid="check-neighbours"]')?.dataset.passed === 'false', null, { timeout: 30_000 });
  assert.match(await check.innerText(), /Hint[\s\S]*show ip ospf neighbor/);
});

test('OSPF typed on three routers brings routes, points and green checks', async () => {
  for (const [router, networks] of Object.entries(TRIANGLE)) {
    // what is typed while the router still works is echoed by the terminal before the next prompt, as on a real one
    const done = new RegExp(`area 0\\n+[a-z]*${router}\\(config-router\\)# [end]*\\n${router}# *$`);
    await run(page, router, ['configure terminal', 'router ospf', ...networks.map((one) => `network ${one} area 0`), 'end'], done);
  }
  await passes('neighbours', 'reach', 'path');
  await run(page, 'r1', ['show ip route ospf'], /O>\* 10\.3\.0\.0\/24/);

  // The cut: traffic goes the other way round, and the last check sees it.
  await run(page, 'h2', ['linkctl cut r1-r3', 'linkctl ls'], /cut/);
  await run(page, 'h1', ['ping -c 20 -i 0.5 10.3.0.10'], / (?:[4-9]|1\d|20) received/);
  await run(page, 'h2', ['linkctl restore r1-r3'], /restore r1-r3\n/);
  await passes('neighbours', 'reach', 'path', 'detour');
  assert.match(await part(page, 'points').innerText(), /100 of 100/);
  assert.match(await part(page, 'checks-result').innerText(), /All checks passed/);
});

test('the page as it is shown to visitors', async () => {
  await part(page, 'view-instructions').click();
  await part(page, 'step-reach').click();
  await part(page, 'split').click();
  await part(page, 'second').selectOption({ label: 'Host H1' });
  await openConsole(page, 'h1');
  await type(page, 'clear; traceroute -n 10.3.0.10');
  await reads(page, /3 {2}10\.3\.0\.10/);
  await openConsole(page, 'r1');
  await page.keyboard.press('Control+L');
  await type(page, 'show ip route 10.3.0.0/24');
  await reads(page, /Known via "ospf"[\s\S]*r1# *$/);
  await openConsole(page, 'r1');
  await labwire.shot(page, 'learner');
  await part(page, 'split').click();
});

test('two tabs of the same lab are one lab: a second link of the learner returns to it', async () => {
  const second = await labwire.tab();
  await second.goto(labwire.link('--learner', 'adalovelace', '--name', 'Ada Lovelace', '--lab', 'ospf-triangle'));
  await part(second, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  assert.equal(labwire.cli('session', 'ls', '--all').match(/ospf-triangle/g).length, 1);
  await second.context().close();
});

test('a console whose program ended says so, and starts again', async () => {
  await run(page, 'h2', ['exit'], /exit$/);
  await part(page, 'exited').waitFor();
  await page.reload();
  await part(page, 'workbench').waitFor();
  await part(page, 'tab-h2').click();
  await part(page, 'restart').click();
  await part(page, 'exited').waitFor({ state: 'hidden' });
  await type(page, 'echo again-$((1 + 1))');
  await reads(page, /^again-2$/m);
});

test('a reload stays in the lab, with the screen as it was', async () => {
  await run(page, 'h1', ['echo kept-$((40 + 2))'], /^kept-42$/m);
  await page.reload();
  await part(page, 'workbench').waitFor();
  await part(page, 'tab-h1').click();
  assert.match(await reads(page, /^kept-42$/m), /traceroute to 10\.3\.0\.10/, 'what stood above is still there');
});

test('killed with -9 and started again, the server finds the tab and every key typed meanwhile', async () => {
  await openConsole(page, 'h1');
  await labwire.kill();
  await page.keyboard.type('echo typed-while-');
  await eventually(() => 'the page says that the connection is lost', 20_000, async () => (await part(page, 'connection').getAttribute('data-state').catch(() => null)) === 'lost');
  await type(page, 'away-$((6 * 7))');
  await labwire.spawn();
  await part(page, 'connection').waitFor({ state: 'hidden', timeout: 60_000 });
  const text = await reads(page, /^typed-while-away-42$/m, 60_000);
  assert.equal(text.match(/^typed-while-away-42$/gm).length, 1, 'once, not twice');
  assert.match(text, /kept-42/);
  page.problems = page.problems.filter((problem) => !/ERR_CONNECTION_REFUSED|WebSocket connection/.test(problem));
});

test('nothing hinders those who use a screen reader, and the browser has nothing to complain of', async () => {
  for (const view of ['view-checks', 'view-map', 'view-instructions']) {
    await part(page, view).click();
    assert.deepEqual(await barriers(page), [], view);
  }
  assert.deepEqual(page.problems, []);
});

test('after stopping, the page says what was counted and offers the replay', async () => {
  await part(page, 'stop').click();
  await part(page, 'stop-yes').click();
  await part(page, 'ended').waitFor({ timeout: 60_000 });
  assert.match(await part(page, 'ended').innerText(), /You stopped the lab/);
  await eventually(() => 'the time is counted', 60_000, async () => /Counted: /.test(await part(page, 'billed').innerText()));
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.problems, []);
});

test('a reload, and Back from the replay, show the end again: a new run begins by a click only', async () => {
  const runs = () => labwire.cli('session', 'ls', '--all').match(/ospf-triangle/g).length;
  await page.reload();
  await part(page, 'ended').waitFor();
  await part(page, 'own-replay').click();
  await part(page, 'player').waitFor();
  await page.goBack();
  await part(page, 'ended').waitFor();
  assert.match(await part(page, 'ended').innerText(), /You stopped the lab/);
  assert.equal(runs(), 1);
  await part(page, 'again').click();
  await part(page, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  assert.equal(runs(), 2);
  assert.deepEqual(page.problems, []);
});
