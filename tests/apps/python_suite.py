#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
"""Python's own test suite inside, case by case against the native run. A case that passes natively must pass inside, but for those
in python_suite.known (each with its reason). Without arguments: does nothing (the native run is made beside the one inside)."""
import os, re, subprocess, sys, tempfile, concurrent.futures
if len(sys.argv) < 2:
    sys.exit(0)
here = os.path.dirname(os.path.abspath(__file__))
modules = os.environ.get('PYTHON_SUITE', 'test_os test_subprocess test_signal test_threading test_mmap test_select test_tempfile test_pathlib '
                         'test_fcntl test_pty test_posix test_asyncio test_multiprocessing_spawn test_poll test_epoll test_resource test_wait3 '
                         'test_wait4 test_fork1 test_thread test_threadsignals test_openpty test_eintr test_pwd test_faulthandler').split()
known = {}
for line in open(os.path.join(here, 'python_suite.known')):
    if line.strip() and not line.startswith('#'):
        case, why = line.split(None, 1)
        known[case] = why.strip()
def cases(words, module):
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        try:
            p = subprocess.run(words + ['/bin/sh', '-c', f'cd {d}; exec /usr/bin/python3 -m test -v --timeout 380 {module}'], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400)
            out = p.stdout.decode(errors='replace')
        except subprocess.TimeoutExpired as e:
            out = (e.stdout or b'').decode(errors='replace') + '\nTIMEOUT'
    res = {}
    for m in re.finditer(r'^(test\w*) \((?:[\w.]*\.)?((?:test_\w+|__main__)\.\w+)(?:\.\w+)?\)(?:(?!^test\w* \().)*?\.\.\. (?:(?!^test\w* \().)*?(ok|FAIL|ERROR|skipped|expected failure)', out, re.M | re.S):
        res[f'{m[2]}.{m[1]}'] = m[3]
    return res, out
bad = 0
for module in modules:
    with concurrent.futures.ThreadPoolExecutor(2) as ex:
        a, b = ex.map(lambda w: cases(w, module), ([], sys.argv[1:]))
    good = [c for c in a[0] if a[0][c] == 'ok']
    diff = [c for c in good if b[0].get(c, 'missing') not in ('ok',)]
    new = [c for c in diff if c not in known]
    print(f'{module}: natively ok {len(good)}, of these inside ok {len(good) - len(diff)}, known to differ {len(diff) - len(new)}, not known {len(new)}')
    for c in new:
        print(f'  {c}: {b[0].get(c, "missing")}')
    if not good:
        print('  no case passed natively\n' + a[1][-500:])
    if new and os.environ.get('PYTHON_SUITE_LOG'):
        print(b[1])
    bad += bool(new) or not good
sys.exit(1 if bad else 0)
