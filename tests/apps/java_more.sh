# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# Java: hundreds of threads that are interrupted, stopped for the collector, faulting; children of many threads; signals; tools that attach.
command -v javac >/dev/null || { echo "no JDK"; exit 1; }
exec 2>/dev/null # process ids
cat > S.java <<'J'
import java.io.*;
import java.lang.management.*;
import java.net.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.*;
import java.util.stream.*;

public class S {
	static String run(String... cmd) throws Exception {
		Process p = new ProcessBuilder(cmd).redirectErrorStream(true).start();
		p.getOutputStream().close();
		String s = new String(p.getInputStream().readAllBytes());
		return s.trim() + " " + p.waitFor();
	}
	static int deep(int n, Object a) { return n == 0 ? 0 : 1 + deep(n - 1, a); }
	static int endless(int n) { return 1 + endless(n + 1); }
	static volatile int spin;
	public static void main(String[] a) throws Exception {
		if (a.length > 0 && a[0].equals("hook")) {
			Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook ran")));
			System.out.println("ready");
			Thread.sleep(100000);
		}
		if (a.length > 0 && a[0].equals("oom")) {
			List<long[]> l = new ArrayList<>();
			try { for (;;) l.add(new long[1 << 17]); } catch (OutOfMemoryError e) { l = null; System.out.println("oom " + e.getMessage()); }
			return;
		}
		// 400 platform threads parked, interrupted, joined
		int n = 400;
		CountDownLatch up = new CountDownLatch(n);
		AtomicInteger interrupted = new AtomicInteger();
		Thread[] ts = new Thread[n];
		for (int i = 0; i < n; i++) {
			final int k = i;
			ts[i] = new Thread(() -> {
				up.countDown();
				try {
					if (k % 4 == 0) Thread.sleep(100000);
					else if (k % 4 == 1) { Object o = new Object(); synchronized (o) { o.wait(); } }
					else if (k % 4 == 2) { LockSupport.park(); if (Thread.interrupted()) throw new InterruptedException(); }
					else new LinkedBlockingQueue<Integer>().take();
				} catch (InterruptedException e) { interrupted.incrementAndGet(); }
			}, "w" + i);
			ts[i].start();
		}
		up.await();
		Thread.sleep(50);
		System.out.println("live " + (ManagementFactory.getThreadMXBean().getThreadCount() >= n));
		for (Thread t : ts) t.interrupt();
		for (Thread t : ts) t.join();
		System.out.println("interrupted " + interrupted);
		// safepoints while threads spin, compute, block; garbage all along
		AtomicBoolean stop = new AtomicBoolean();
		List<Thread> busy = new ArrayList<>();
		for (int i = 0; i < 6; i++) { final int k = i; Thread t = new Thread(() -> { long x = k; while (!stop.get()) { for (int j = 0; j < 10000; j++) x = x * 31 + j; if (k < 3) { byte[][] g = new byte[64][]; for (int j = 0; j < 64; j++) g[j] = new byte[1024]; spin += g[5].length; } } spin += (int) x; }); t.start(); busy.add(t); }
		for (int i = 0; i < 10; i++) { System.gc(); ManagementFactory.getThreadMXBean().dumpAllThreads(true, true); Thread.sleep(5); }
		stop.set(true);
		for (Thread t : busy) t.join();
		System.out.println("safepoints");
		// pools, forks and joins, parallel streams
		System.out.println("sum " + LongStream.rangeClosed(1, 3_000_000).parallel().filter(x -> x % 3 == 0).sum());
		System.out.println("words " + new TreeMap<>(IntStream.range(0, 20000).parallel().boxed().collect(Collectors.groupingByConcurrent(x -> x % 5, Collectors.counting()))));
		ForkJoinPool fj = new ForkJoinPool(16);
		class Fib extends RecursiveTask<Integer> { int k; Fib(int k) { this.k = k; } protected Integer compute() { if (k < 10) return k < 2 ? k : new Fib(k - 1).compute() + new Fib(k - 2).compute(); Fib f = new Fib(k - 1); f.fork(); return new Fib(k - 2).compute() + f.join(); } }
		System.out.println("fib " + fj.invoke(new Fib(22)));
		fj.shutdown();
		ScheduledExecutorService se = Executors.newScheduledThreadPool(4);
		AtomicInteger ticks = new AtomicInteger();
		CountDownLatch ten = new CountDownLatch(30);
		for (int i = 0; i < 3; i++) se.scheduleAtFixedRate(() -> { ticks.incrementAndGet(); ten.countDown(); }, 1, 3, TimeUnit.MILLISECONDS);
		System.out.println("ticks " + ten.await(20, TimeUnit.SECONDS));
		se.shutdownNow();
		// children: many at once, from many threads
		ExecutorService ex = Executors.newFixedThreadPool(12);
		List<Future<String>> fs = new ArrayList<>();
		for (int i = 0; i < 96; i++) { final int k = i; fs.add(ex.submit(() -> run("sh", "-c", "echo c" + k + "; exit " + k % 7))); }
		StringBuilder sb = new StringBuilder();
		for (Future<String> f : fs) sb.append(f.get()).append(',');
		System.out.println(sb);
		ex.shutdown();
		Process p = new ProcessBuilder("sh", "-c", "trap 'echo term; exit 9' TERM; echo up; while :; do sleep .05; done").start();
		BufferedReader br = new BufferedReader(new InputStreamReader(p.getInputStream()));
		System.out.println(br.readLine());
		run("kill", "" + p.pid());
		System.out.println(br.readLine() + " " + p.waitFor());
		p = new ProcessBuilder("sleep", "100").start();
		System.out.println(p.waitFor(50, TimeUnit.MILLISECONDS) + " " + p.isAlive());
		System.out.println(p.destroyForcibly().waitFor());
		p = new ProcessBuilder("sleep", "0.1").start();
		System.out.println("exit " + p.onExit().thenApply(Process::exitValue).get(10, TimeUnit.SECONDS));
		ProcessHandle me = ProcessHandle.current();
		Process kid = new ProcessBuilder("sh", "-c", "sleep 100 & echo $!; wait").start();
		new BufferedReader(new InputStreamReader(kid.getInputStream())).readLine();
		System.out.println("children " + me.children().count() + " " + me.descendants().count() + " " + kid.toHandle().info().command().orElse("?") + " " + me.info().arguments().isPresent());
		kid.descendants().forEach(ProcessHandle::destroyForcibly);
		System.out.println("kid " + kid.waitFor());
		List<Process> pl = ProcessBuilder.startPipeline(List.of(new ProcessBuilder("seq", "1000"), new ProcessBuilder("grep", "7"), new ProcessBuilder("wc", "-l")));
		System.out.println("pipeline " + new String(pl.get(2).getInputStream().readAllBytes()).trim());
		try { new ProcessBuilder("/nosuch").start(); } catch (IOException e) { System.out.println(e.getMessage()); }
		System.out.println(run("sh", "-c", "ulimit -n 2>&1 >/dev/null; ls /proc/self/fd | wc -l"));
		// faults made exceptions: null, stack, divide, out of a mapped file that shrank
		int npe = 0, ae = 0;
		for (int i = 0; i < 30000; i++) { String s = i % 3 == 0 ? null : "ab"; try { npe += s.length() == 2 ? 0 : 1; } catch (NullPointerException e) { npe++; } try { spin += 100 / (i % 2); } catch (ArithmeticException e) { ae++; } }
		System.out.println("npe " + npe + " ae " + ae);
		ExecutorService so = Executors.newFixedThreadPool(8);
		List<Future<Boolean>> sf = new ArrayList<>();
		for (int i = 0; i < 32; i++) sf.add(so.submit(() -> { try { endless(0); return false; } catch (StackOverflowError e) { return deep(500, null) == 500; } }));
		int ok = 0; for (Future<Boolean> f : sf) if (f.get()) ok++;
		so.shutdown();
		System.out.println("overflows " + ok);
		Path mf = Paths.get("mapped");
		Files.write(mf, new byte[65536]);
		try (FileChannel fc = FileChannel.open(mf, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
			ByteBuffer m = fc.map(FileChannel.MapMode.READ_WRITE, 0, 65536);
			fc.truncate(100);
			try { System.out.println(m.get(60000)); } catch (InternalError e) { System.out.println("bus error caught"); }
		}
		// signals
		CountDownLatch sig = new CountDownLatch(20);
		sun.misc.Signal.handle(new sun.misc.Signal("USR2"), s -> sig.countDown());
		for (int i = 0; i < 100 && sig.getCount() > 0; i++) { sun.misc.Signal.raise(new sun.misc.Signal("USR2")); Thread.sleep(2); }
		System.out.println("usr2 " + sig.await(10, TimeUnit.SECONDS));
		// network, unix sockets, selectors with hundreds of connections
		try (ServerSocketChannel ss = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0), 300); Selector sel = Selector.open()) {
			ss.configureBlocking(false);
			ss.register(sel, SelectionKey.OP_ACCEPT);
			int port = ((InetSocketAddress) ss.getLocalAddress()).getPort();
			Thread srv = new Thread(() -> { try { int done = 0; ByteBuffer b = ByteBuffer.allocate(100); while (done < 200) { sel.select(5000); for (Iterator<SelectionKey> it = sel.selectedKeys().iterator(); it.hasNext();) { SelectionKey k = it.next(); it.remove(); if (k.isAcceptable()) { SocketChannel c = ss.accept(); if (c != null) { c.configureBlocking(false); c.register(sel, SelectionKey.OP_READ); } } else { SocketChannel c = (SocketChannel) k.channel(); b.clear(); if (c.read(b) > 0) { b.flip(); c.write(b); } c.close(); done++; } } } } catch (IOException e) { System.out.println(e); } });
			srv.start();
			ExecutorService cl = Executors.newFixedThreadPool(40);
			List<Future<String>> cf = new ArrayList<>();
			for (int i = 0; i < 200; i++) { final int k = i; cf.add(cl.submit(() -> { try (Socket s = new Socket("127.0.0.1", port)) { s.getOutputStream().write(("m" + k).getBytes()); return new String(s.getInputStream().readAllBytes()); } })); }
			int good = 0; for (int i = 0; i < 200; i++) if (cf.get(i).get().equals("m" + i)) good++;
			cl.shutdown(); srv.join();
			System.out.println("nio " + good);
		}
		UnixDomainSocketAddress ua = UnixDomainSocketAddress.of("usock");
		try (ServerSocketChannel us = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(ua); SocketChannel uc = SocketChannel.open(ua); SocketChannel ud = us.accept()) { uc.write(ByteBuffer.wrap("hi".getBytes())); ByteBuffer b = ByteBuffer.allocate(10); ud.read(b); System.out.println("unix " + b.position()); }
		ThreadMXBean tm = ManagementFactory.getThreadMXBean();
		long c0 = tm.getCurrentThreadCpuTime(); long x = 0; for (int i = 0; i < 30_000_000; i++) x += i ^ (x << 1); spin += (int) x;
		System.out.println("cpu " + (tm.getCurrentThreadCpuTime() > c0) + " " + (ProcessHandle.current().info().totalCpuDuration().get().toMillis() > 0) + " " + Runtime.getRuntime().availableProcessors());
		System.exit(3);
	}
}
J
javac S.java 2>err || { cat err; exit 1; }
java -Xmx512m S 2>&1; echo "st $?"
java -Xmx64m S oom; echo $?
for s in TERM HUP; do java S hook > hook.out & p=$!; for i in $(seq 100); do grep -q ready hook.out && break; sleep .1; done; kill -$s $p; wait $p; echo "$s $?"; cat hook.out; done
java S hook > hook.out 2>&1 & p=$!; for i in $(seq 100); do grep -q ready hook.out && break; sleep .1; done
jstack $p > js; echo $?; grep -c '^"main"' js; grep -c 'java.lang.Thread.sleep' js; jcmd $p Thread.print | grep -c '^"main"'; jcmd $p VM.version | grep -c 17; jcmd $p GC.heap_info | grep -c 'garbage-first\|def new\|total'; jmap -histo $p | grep -c java.lang.String; jcmd $p GC.run | tail -1; jinfo -flag MaxHeapSize $p | wc -l; jstat -gc $p | wc -l
kill -QUIT $p; sleep 1; grep -c 'Full thread dump' hook.out; kill -9 $p; wait $p; echo $?
ulimit -c 0; java S hook > hook.out 2>&1 & p=$!;  for i in $(seq 100); do grep -q ready hook.out && break; sleep .1; done; kill -SEGV $p; wait $p; echo $?; grep -c 'A fatal error' hook.out; ls hs_err* | wc -l; grep -c 'siginfo: si_signo: 11' hs_err*
