# SPDX-License-Identifier: Apache-2.0
# timeout: 180
command -v java >/dev/null || { echo "no java"; exit 1; }
cat > T.java <<'J'
import java.io.*; import java.net.*; import java.nio.*; import java.nio.channels.*; import java.nio.file.*; import java.util.*; import java.util.concurrent.*; import java.util.concurrent.atomic.*; import java.util.stream.*;
public class T {
	static int depth(int n) { return 1 + depth(n + 1); }
	public static void main(String[] a) throws Exception {
		ExecutorService ex = Executors.newFixedThreadPool(8); AtomicLong sum = new AtomicLong(); List<Future<Integer>> fs = new ArrayList<>();
		for (int i = 0; i < 200; i++) { final int k = i; fs.add(ex.submit(() -> { for (int j = 0; j < 1000; j++) sum.addAndGet(k); return k; })); }
		int t = 0; for (Future<Integer> f : fs) t += f.get(); System.out.println(t + " " + sum); ex.shutdown();
		try { Object o = a.length > 5 ? "" : null; o.hashCode(); } catch (NullPointerException e) { System.out.println("npe"); }
		for (int i = 0; i < 20000; i++) { String s = i % 1000 == 999 ? null : "x"; try { s.length(); } catch (NullPointerException e) { if (i == 19999) System.out.println("implicit npe"); } }
		try { depth(0); } catch (StackOverflowError e) { System.out.println("overflow"); }
		ArrayList<byte[]> keep = new ArrayList<>(); for (int i = 0; i < 400; i++) { keep.add(new byte[1 << 20]); if (keep.size() > 20) keep.clear(); } System.gc(); System.out.println("gc");
		try (ServerSocket ss = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
			Thread th = new Thread(() -> { try (Socket c = ss.accept()) { c.getInputStream().transferTo(c.getOutputStream()); c.shutdownOutput(); } catch (IOException e) { System.out.println(e); } }); th.start();
			try (Socket c = new Socket(ss.getInetAddress(), ss.getLocalPort())) { c.getOutputStream().write("echo".getBytes()); c.shutdownOutput(); System.out.println(new String(c.getInputStream().readAllBytes())); } th.join();
		}
		Path p = Paths.get("f"); try (FileChannel fc = FileChannel.open(p, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
			MappedByteBuffer m = fc.map(FileChannel.MapMode.READ_WRITE, 0, 8192); m.putInt(4096, 42); m.force(); ByteBuffer b = ByteBuffer.allocate(4); fc.read(b, 4096); System.out.println(b.getInt(0)); System.out.println(fc.tryLock() != null); }
		Process pr = new ProcessBuilder("sh", "-c", "read x; echo got $x; exit 3").redirectErrorStream(true).start(); pr.getOutputStream().write("in\n".getBytes()); pr.getOutputStream().close(); System.out.print(new String(pr.getInputStream().readAllBytes())); System.out.println(pr.waitFor());
		Selector sel = Selector.open(); Pipe pi = Pipe.open(); pi.source().configureBlocking(false); pi.source().register(sel, SelectionKey.OP_READ); new Thread(() -> { try { Thread.sleep(50); pi.sink().write(ByteBuffer.wrap(new byte[] { 1 })); } catch (Exception e) { System.out.println(e); } }).start(); System.out.println("select " + sel.select(5000));
		WatchService w = FileSystems.getDefault().newWatchService(); Paths.get(".").register(w, StandardWatchEventKinds.ENTRY_CREATE); Files.createFile(Paths.get("made")); WatchKey k = w.poll(10, TimeUnit.SECONDS); System.out.println(k == null ? "no event" : k.pollEvents().get(0).context());
		System.out.println(IntStream.range(0, 100000).parallel().mapToLong(i -> i).sum());
		Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook"))); System.exit(7);
	}
}
J
for o in "" -Xint "-XX:+UseSerialGC -Xmx128m"; do java $o T.java; echo "st $?"; rm -f f made; done
