# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# Go: goroutines on many threads, preemption by SIGURG, signals, children, an HTTP server on loopback.
command -v go >/dev/null || { echo "no go"; exit 1; }
cat > m.go <<'G'
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	if len(os.Args) > 1 { // a child: dies of, or lives through, what comes
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("ready")
		<-c
		os.Exit(42)
	}
	// goroutines and channels
	var wg sync.WaitGroup
	var sum int64
	ch := make(chan int)
	for i := 0; i < 2000; i++ {
		wg.Add(1)
		go func(n int) { defer wg.Done(); ch <- n }(i)
	}
	go func() { wg.Wait(); close(ch) }()
	for n := range ch {
		sum += int64(n)
	}
	fmt.Println("goroutines", sum)
	// threads of their own, each in system calls
	var calls int64
	for i := 0; i < 200; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread() // without unlocking: the thread ends with it
			r, w, err := os.Pipe()
			must(err)
			for k := 0; k < 20; k++ {
				w.Write([]byte("x"))
				r.Read(make([]byte, 1))
				syscall.Getppid()
				atomic.AddInt64(&calls, 1)
			}
			r.Close()
			w.Close()
		}()
	}
	wg.Wait()
	fmt.Println("threads", calls)
	// preemption: loops without calls must not keep others from running, nor the collector from stopping them
	runtime.GOMAXPROCS(2)
	var stop int32
	for i := 0; i < 2; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				if n&0xffff == 0 && atomic.LoadInt32(&stop) != 0 {
					return
				}
			}
		}()
	}
	for i := 0; i < 3; i++ {
		_ = make([]byte, 1<<20)
		runtime.GC()
		runtime.Gosched()
	}
	atomic.StoreInt32(&stop, 1)
	wg.Wait()
	runtime.GOMAXPROCS(4)
	fmt.Println("preempted")
	// signals: many, to all threads
	c := make(chan os.Signal, 100)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)
	for i := 0; i < 50; i++ {
		must(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
		if s := <-c; s != syscall.SIGUSR1 {
			panic(s)
		}
	}
	signal.Ignore(syscall.SIGUSR2)
	must(syscall.Kill(os.Getpid(), syscall.SIGUSR2))
	fmt.Println("signals")
	// children: several at once, output, status, signals, a process group, a deadline
	for i := 0; i < 200; i++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			out, err := exec.Command("/bin/echo", fmt.Sprint(n)).Output()
			must(err)
			if string(out) != fmt.Sprintln(n) {
				panic(string(out))
			}
		}(i)
		if i%20 == 19 {
			wg.Wait()
		}
	}
	fmt.Println("children", exec.Command("/bin/sh", "-c", "exit 3").Run())
	cmd := exec.Command(os.Args[0], "child")
	out, _ := cmd.StdoutPipe()
	must(cmd.Start())
	io.ReadFull(out, make([]byte, 6))
	must(cmd.Process.Signal(syscall.SIGTERM))
	fmt.Println("term", cmd.Wait())
	cmd = exec.Command("/bin/sh", "-c", "sleep 100 & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	must(cmd.Start())
	must(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	fmt.Println("group", cmd.Wait())
	// HTTP
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b, _ := io.ReadAll(r.Body); w.Write(b) }))
	var bytes int64
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			body, w := io.Pipe()
			go func() { w.Write(make([]byte, 100000)); w.Close() }()
			resp, err := http.Post("http://"+l.Addr().String()+"/", "text/plain", body)
			must(err)
			b, err := io.ReadAll(resp.Body)
			must(err)
			resp.Body.Close()
			atomic.AddInt64(&bytes, int64(len(b)))
		}()
		if i%25 == 24 {
			wg.Wait()
		}
	}
	fmt.Println("http", bytes)
	_, err = net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	fmt.Println("refused", err)
	// faults become panics
	debug.SetPanicOnFault(true)
	func() {
		defer func() { fmt.Println("recovered", recover()) }()
		var p *int
		*p = 1
	}()
	t := time.Now()
	time.Sleep(20 * time.Millisecond)
	fmt.Println("slept", time.Since(t) >= 20*time.Millisecond)
	panic("the end")
}
G
export GOCACHE=$PWD/cache GO111MODULE=off HOME=$PWD
go build -o m m.go && ./m 2>err; echo $?; head -1 err; grep -c '^goroutine 1 ' err
GOMAXPROCS=1 ./m 2>/dev/null | cksum
