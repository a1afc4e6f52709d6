# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# Rust: hundreds of threads that meet, take and send signals; children of many threads; sockets; panics, overflows, faults; a build by cargo.
PATH=$PATH:$HOME/.cargo/bin
command -v rustc >/dev/null || { echo "no rustc"; exit 1; }
cat > m.rs <<'R'
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::os::unix::io::{AsRawFd, FromRawFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

#[repr(C)]
struct SigAction { handler: usize, mask: [u64; 16], flags: i32, restorer: usize }
#[repr(C)]
struct TimeVal { sec: i64, usec: i64 }
#[repr(C)]
struct ITimer { interval: TimeVal, value: TimeVal }
extern "C" {
	fn sigaction(sig: i32, act: *const SigAction, old: *mut SigAction) -> i32;
	fn kill(pid: i32, sig: i32) -> i32;
	fn getpid() -> i32;
	fn pthread_self() -> usize;
	fn pthread_kill(t: usize, sig: i32) -> i32;
	fn pthread_sigmask(how: i32, set: *const [u64; 16], old: *mut [u64; 16]) -> i32;
	fn sigwait(set: *const [u64; 16], sig: *mut i32) -> i32;
	fn fork() -> i32;
	fn waitpid(pid: i32, st: *mut i32, opt: i32) -> i32;
	fn _exit(st: i32) -> !;
	fn pipe(p: *mut i32) -> i32;
	fn setitimer(which: i32, new: *const ITimer, old: *mut ITimer) -> i32;
	fn signal(sig: i32, h: usize) -> usize;
	fn setpgid(pid: i32, pgid: i32) -> i32;
}
static HITS: AtomicUsize = AtomicUsize::new(0);
static ALARMS: AtomicUsize = AtomicUsize::new(0);
thread_local! { static MINE: RefCell<u64> = RefCell::new(0); }
extern "C" fn on_usr1(_: i32) { HITS.fetch_add(1, SeqCst); }
extern "C" fn on_alarm(_: i32) { ALARMS.fetch_add(1, SeqCst); }
fn handle(sig: i32, f: extern "C" fn(i32), flags: i32) {
	let a = SigAction { handler: f as usize, mask: [0; 16], flags, restorer: 0 };
	assert_eq!(unsafe { sigaction(sig, &a, std::ptr::null_mut()) }, 0);
}
fn deep(n: u64) -> u64 { let a = [n; 64]; if n == 0 { 0 } else { deep(n - 1) + a[(n % 64) as usize] - n + 1 } }
fn endless(n: u64) -> u64 { let a = [n; 128]; unsafe { std::ptr::read_volatile(&a[5]) }; endless(n + 1) + a[3] }

fn main() {
	let args: Vec<String> = std::env::args().collect();
	if args.len() > 1 {
		match args[1].as_str() {
			"overflow" => { println!("{}", endless(0)); }
			"overflow-thread" => { thread::spawn(|| println!("{}", endless(0))).join().unwrap(); }
			"abort" => std::process::abort(),
			"segv" => unsafe { std::ptr::null_mut::<u32>().write_volatile(1) },
			"panic" => { let v: Vec<i32> = Vec::new(); let i = args.len(); println!("{}", v[i]); }
			"cat" => { for l in std::io::stdin().lock().lines() { println!("<{}>", l.unwrap()); } }
			_ => std::process::exit(9),
		}
		return;
	}
	// threads at a barrier, each with something of its own
	let n = 300;
	let b = Arc::new(Barrier::new(n + 1));
	let sum = Arc::new(AtomicU64::new(0));
	let hs: Vec<_> = (0..n as u64).map(|i| { let (b, sum) = (b.clone(), sum.clone());
		thread::Builder::new().name(format!("t{}", i)).stack_size(128 * 1024).spawn(move || {
			MINE.with(|m| *m.borrow_mut() = i);
			b.wait();
			for _ in 0..50 { thread::yield_now(); MINE.with(|m| *m.borrow_mut() += 1); }
			MINE.with(|m| sum.fetch_add(*m.borrow(), SeqCst));
			assert_eq!(thread::current().name().unwrap(), format!("t{}", i));
		}).unwrap() }).collect();
	b.wait();
	for h in hs { h.join().unwrap(); }
	println!("threads {}", sum.load(SeqCst));
	// channels, mutexes, condition variables, read-write locks
	let (tx, rx) = mpsc::sync_channel(7);
	for i in 0..20 { let tx = tx.clone(); thread::spawn(move || for k in 0..200u64 { tx.send(i * 1000 + k).unwrap(); }); }
	drop(tx);
	println!("channel {}", rx.iter().sum::<u64>());
	let pair = Arc::new((Mutex::new(0usize), Condvar::new()));
	let ring: Vec<_> = (0..8usize).map(|i| { let p = pair.clone(); thread::spawn(move || for _ in 0..100 {
		let mut g = p.0.lock().unwrap();
		while *g % 8 != i { g = p.1.wait(g).unwrap(); }
		*g += 1;
		p.1.notify_all();
	}) }).collect();
	for h in ring { h.join().unwrap(); }
	println!("ring {}", pair.0.lock().unwrap());
	let g = pair.0.lock().unwrap();
	let (g, to) = pair.1.wait_timeout(g, Duration::from_millis(20)).unwrap();
	println!("timeout {}", to.timed_out());
	drop(g);
	let map = Arc::new(RwLock::new(HashMap::new()));
	thread::scope(|s| { for i in 0..16 { let map = &map; s.spawn(move || for k in 0..100 { if k % 10 == 0 { map.write().unwrap().insert(i * 100 + k, k); } else { let _ = map.read().unwrap().len(); } }); } });
	println!("map {}", map.read().unwrap().len());
	let once = Once::new();
	let count = AtomicI32::new(0);
	thread::scope(|s| for _ in 0..50 { s.spawn(|| once.call_once(|| { count.fetch_add(1, SeqCst); })); });
	println!("once {}", count.load(SeqCst));
	// signals to threads by name, with and without SA_RESTART, while they sleep, read and compute
	handle(10, on_usr1, 0x10000000);
	let (mut rd, mut wr) = { let mut p = [0; 2]; unsafe { pipe(p.as_mut_ptr()); (std::fs::File::from_raw_fd(p[0]), std::fs::File::from_raw_fd(p[1])) } };
	let stop = Arc::new(AtomicI32::new(0));
	let ids = Arc::new(Mutex::new(Vec::new()));
	let mut hs = Vec::new();
	for i in 0..200 { let (stop, ids) = (stop.clone(), ids.clone()); hs.push(thread::spawn(move || {
		ids.lock().unwrap().push(unsafe { pthread_self() });
		let mut x = 1u64;
		while stop.load(SeqCst) == 0 { if i % 10 != 0 { thread::sleep(Duration::from_millis(5)); } else { for _ in 0..1000 { x = x.wrapping_mul(3); } thread::yield_now(); } }
		x
	})); }
	let reader = thread::spawn(move || { let mut b = [0; 4]; rd.read_exact(&mut b).unwrap(); b });
	while ids.lock().unwrap().len() < 200 { thread::sleep(Duration::from_millis(1)); }
	let ids = ids.lock().unwrap().clone();
	for r in 1..=5 { for id in &ids { assert_eq!(unsafe { pthread_kill(*id, 10) }, 0); } while HITS.load(SeqCst) < r * 200 { thread::sleep(Duration::from_millis(1)); } }
	stop.store(1, SeqCst);
	for h in hs { h.join().unwrap(); }
	wr.write_all(b"data").unwrap();
	println!("signals {} {:?}", HITS.load(SeqCst), reader.join().unwrap());
	// a thread that takes a blocked signal by sigwait
	let mut set = [0u64; 16];
	set[0] = 1 << 11;
	unsafe { pthread_sigmask(0, &set, std::ptr::null_mut()) };
	let waiter = thread::spawn(move || { let mut got = Vec::new(); for _ in 0..10 { let mut s = 0; unsafe { sigwait(&set, &mut s) }; got.push(s); thread::sleep(Duration::from_millis(1)); } got });
	while !waiter.is_finished() { unsafe { kill(getpid(), 12) }; thread::sleep(Duration::from_millis(3)); }
	println!("sigwait {:?}", waiter.join().unwrap());
	// an interval timer against many threads of system calls
	handle(14, on_alarm, 0x10000000);
	let it = ITimer { interval: TimeVal { sec: 0, usec: 2000 }, value: TimeVal { sec: 0, usec: 2000 } };
	unsafe { setitimer(0, &it, std::ptr::null_mut()) };
	let t = Instant::now();
	while ALARMS.load(SeqCst) < 20 && t.elapsed() < Duration::from_secs(10) { std::fs::metadata("/etc/passwd").unwrap(); }
	let it = ITimer { interval: TimeVal { sec: 0, usec: 0 }, value: TimeVal { sec: 0, usec: 0 } };
	unsafe { setitimer(0, &it, std::ptr::null_mut()) };
	println!("alarms {}", ALARMS.load(SeqCst) >= 20);
	// children from many threads at once, piped, signalled, reaped
	let me = std::env::current_exe().unwrap();
	let total = AtomicUsize::new(0);
	thread::scope(|s| for i in 0..24 { let (me, total) = (&me, &total); s.spawn(move || for k in 0..4 {
		let mut c = Command::new(me).arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
		write!(c.stdin.take().unwrap(), "{}\n{}\n", i, k).unwrap();
		let o = c.wait_with_output().unwrap();
		assert_eq!(String::from_utf8(o.stdout).unwrap(), format!("<{}>\n<{}>\n", i, k));
		total.fetch_add(1, SeqCst);
	}); });
	println!("children {}", total.load(SeqCst));
	let mut c = Command::new("sleep").arg("100").spawn().unwrap();
	println!("try {:?}", c.try_wait().unwrap());
	c.kill().unwrap();
	println!("killed {:?}", c.wait().unwrap().signal());
	println!("term {:?}", Command::new("sh").args(["-c", "kill -TERM $$"]).status().unwrap().signal());
	println!("code {:?}", Command::new("sh").args(["-c", "exit 77"]).status().unwrap().code());
	println!("none {:?}", Command::new("/nosuch").spawn().map(|_| ()).map_err(|e| e.kind()));
	println!("dir {:?}", Command::new("pwd").current_dir("/usr").env_clear().output().unwrap().stdout);
	println!("group {}", unsafe { Command::new("sh").args(["-c", "test $(ps -o pgid= -p $$) = $$; echo $?"]).pre_exec(|| { signal(13, 0); setpgid(0, 0); Ok(()) }) }.output().unwrap().stdout[0]);
	let mut st = 0;
	let kids: Vec<i32> = (0..100).map(|i| unsafe { let p = fork(); if p == 0 { _exit(i) } p }).collect();
	let mut codes = 0;
	for k in kids { assert_eq!(unsafe { waitpid(k, &mut st, 0) }, k); codes += st >> 8; }
	println!("forks {}", codes);
	// sockets
	let l = TcpListener::bind("127.0.0.1:0").unwrap();
	let addr = l.local_addr().unwrap();
	let server = thread::spawn(move || for s in l.incoming().take(64) { let mut s = s.unwrap(); thread::spawn(move || { let mut b = Vec::new(); s.read_to_end(&mut b).unwrap(); b.reverse(); s.write_all(&b).unwrap(); }); });
	let got: usize = thread::scope(|s| { let v: Vec<_> = (0..64).map(|i| s.spawn(move || { let mut c = TcpStream::connect(addr).unwrap(); c.write_all(&vec![i; 5000]).unwrap(); c.shutdown(std::net::Shutdown::Write).unwrap(); let mut b = Vec::new(); c.read_to_end(&mut b).unwrap(); assert!(b.iter().all(|x| *x == i)); b.len() })).collect(); v.into_iter().map(|h| h.join().unwrap()).sum() });
	server.join().unwrap();
	println!("tcp {}", got);
	let ul = UnixListener::bind("sock").unwrap();
	let h = thread::spawn(move || { let (s, _) = ul.accept().unwrap(); let mut l = String::new(); BufReader::new(s).read_line(&mut l).unwrap(); l });
	UnixStream::connect("sock").unwrap().write_all(b"unix line\n").unwrap();
	print!("unix {}", h.join().unwrap());
	let u = UdpSocket::bind("127.0.0.1:0").unwrap();
	u.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
	println!("udp {:?}", u.recv(&mut [0; 4]).map_err(|e| e.kind()));
	// panics: caught, across threads, poisoning
	std::panic::set_hook(Box::new(|_| {}));
	let bad = (0..50).filter(|i| { let i = *i; thread::spawn(move || if i % 3 == 0 { panic!("{}", i) }).join().is_err() }).count();
	let m = Arc::new(Mutex::new(1));
	let m2 = m.clone();
	let _ = thread::spawn(move || { let _g = m2.lock().unwrap(); panic!() }).join();
	println!("panics {} {} {:?}", bad, m.is_poisoned(), std::panic::catch_unwind(|| { if deep(100) > 0 { panic!("x") } }).is_err());
	// programs that end badly
	for a in ["overflow", "overflow-thread", "abort", "segv", "panic", "other"] {
		let o = Command::new(&me).arg(a).output().unwrap();
		let e = String::from_utf8_lossy(&o.stderr);
		println!("{} {:?} {:?} {}", a, o.status.code(), o.status.signal(), e.contains("has overflowed its stack") || e.contains("index out of bounds"));
	}
	println!("parallelism {}", thread::available_parallelism().unwrap().get() > 0);
	let _ = std::io::stdout().as_raw_fd();
	std::process::exit(5);
}
R
rustc -g -o m m.rs 2>err || { cat err; exit 1; }
./m; echo $?
RUST_BACKTRACE=1 ./m panic 2>&1 | grep -c 'm::main'
if command -v cargo >/dev/null; then
	mkdir -p c/src l/src
	printf '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2018"\n[dependencies]\nl = { path = "../l" }\n' > c/Cargo.toml
	printf '[package]\nname = "l"\nversion = "0.1.0"\nedition = "2018"\n' > l/Cargo.toml
	printf 'fn main() { println!("cargo {}", l::twice(21)); }\n#[test]\nfn good() { assert_eq!(l::twice(2), 4); }\n#[test]\nfn bad() { assert_eq!(l::twice(2), 5); }\n' > c/src/main.rs
	echo 'pub fn twice(n: i32) -> i32 { 2 * n }' > l/src/lib.rs
	echo 'fn main() { println!("cargo:rustc-cfg=built"); std::process::Command::new("true").status().unwrap(); }' > c/build.rs
	cd c; export CARGO_NET_OFFLINE=true
	cargo build -q --offline -j4 2>&1; ./target/debug/c; cargo test -q --offline -j4 2>&1 | grep 'test result' | sed 's/finished in.*//'; echo 'fn main( {' > src/main.rs; cargo check -q --offline 2>/dev/null; echo $?
fi
