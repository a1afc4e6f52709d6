# SPDX-License-Identifier: Apache-2.0
# timeout: 120
cat > m.js <<'X'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync, spawn } = require('child_process');
const fs = require('fs'), net = require('net');
if (!isMainThread) {
  let s = 0;
  for (let i = 0; i < workerData * 100000; i++) s += i % 7;
  parentPort.postMessage(s);
} else {
  (async () => {
    const r = await Promise.all([1, 2, 3].map(n => new Promise((ok, no) => { const w = new Worker(__filename, { workerData: n }); w.on('message', ok); w.on('error', no); })));
    console.log('workers', r.join(' '));
    console.log('exec', execFileSync('echo', ['hello']).toString().trim());
    await new Promise(ok => { const c = spawn('sh', ['-c', 'cat; exit 3']); let o = ''; c.stdout.on('data', d => o += d); c.on('close', (code) => { console.log('spawn', o, code); ok(); }); c.stdin.end('piped'); });
    await new Promise(ok => { const c = spawn('sleep', ['10']); c.on('close', (code, sig) => { console.log('killed', code, sig); ok(); }); setTimeout(() => c.kill(), 50); });
    fs.writeFileSync('f', 'x'.repeat(1000)); console.log('size', fs.statSync('f').size, fs.readdirSync('.').sort().join(','));
    await new Promise(ok => { const s = net.createServer(c => c.pipe(c)).listen(0, '127.0.0.1', () => { const c = net.connect(s.address().port, '127.0.0.1', () => c.write('echo')); c.on('data', d => { console.log('net', d.toString()); c.end(); s.close(ok); }); }); });
    const t = Date.now(); await new Promise(ok => setTimeout(ok, 100)); console.log('timer', Date.now() - t >= 99);
    process.on('SIGUSR2', () => { console.log('signal'); process.exit(5); }); process.kill(process.pid, 'SIGUSR2'); setTimeout(() => {}, 1000);
  })();
}
X
node m.js; echo $?
