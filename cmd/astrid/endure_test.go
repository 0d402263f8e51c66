package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// endureEnv is how many kills a database has to endure in each of its cases,
// endureSeedEnv what chooses them.
const (
	endureEnv     = "ASTRID_ENDURE"
	endureSeedEnv = "ASTRID_ENDURE_SEED"
)

// TestSQLite has programs insert into a database in a view while one after another
// of them, of the view's servers and of the kernels is killed. What an insert
// returned for is there at the end, in the view and after a commit.
func TestSQLite(t *testing.T) {
	if err := mayMount(); err != nil {
		t.Skip("needs a FUSE mount: ", err)
	}
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("needs sqlite3")
	}
	kills, seed := 6, uint64(time.Now().UnixNano())
	if s := os.Getenv(endureEnv); s != "" {
		kills, _ = strconv.Atoi(s)
	}
	if s := os.Getenv(endureSeedEnv); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("%d kills each; %s=%d chooses the same ones", kills, endureSeedEnv, seed)
	for _, journal := range []string{"wal", "delete"} {
		for _, option := range []string{"--writeback=false", "--writeback"} {
			t.Run(journal+option, func(t *testing.T) {
				d := newDatabase(t, journal, option)
				d.endure(kills, rand.New(rand.NewPCG(seed, uint64(len(journal+option)))))
			})
		}
	}
}

// database is one in a view, with those who insert into it.
type database struct {
	t                *testing.T
	home, base, view string
	env              []string
	option           string

	mu      sync.Mutex
	running map[*exec.Cmd]bool
	said    map[string]bool // rows whose insert returned
}

func newDatabase(t *testing.T, journal, option string) *database {
	t.Helper()
	work, err := os.MkdirTemp("", "db") // not t's: the path would be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	d := &database{
		t: t, home: work + "/h", base: work + "/base", option: option,
		env: append(os.Environ(), "HOME="+work, "ASTRID_HOME="+work+"/h", "GORACE=atexit_sleep_ms=0",
			"PATH="+os.Getenv(binary)+":"+os.Getenv("PATH")),
		running: map[*exec.Cmd]bool{}, said: map[string]bool{},
	}
	if err := os.Mkdir(d.base, 0o755); err != nil {
		t.Fatal(err)
	}
	d.sql(d.base, "PRAGMA journal_mode="+journal+"; CREATE TABLE t(id TEXT PRIMARY KEY, s TEXT);")
	t.Cleanup(func() {
		for _, lock := range locks(d.home) {
			if pid := holder(lock); pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGTERM)
				if !gone(pid, 30*time.Second) {
					t.Errorf("process %d of %s does not end", pid, lock)
				}
			}
		}
		for _, line := range complaints(d.home) {
			t.Error(line)
		}
	})
	d.view = d.up()
	return d
}

// run runs a program that must succeed and returns what it prints.
func (d *database) run(name string, args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = d.env
	if name == "astrid" {
		cmd.Path = filepath.Join(os.Getenv(binary), "astrid")
		cmd.Err = nil
	}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		d.t.Fatalf("%s %s: %v: %s", name, args, err, said.Bytes())
	}
	return strings.TrimSpace(out.String())
}

// up brings the view up; its path is the same each time.
func (d *database) up() string { return d.run("astrid", "up", d.base, "--session", "db") }

const patient = ".timeout 30000"

func (d *database) sql(dir, statements string) string {
	d.t.Helper()
	return d.run("sqlite3", "-cmd", patient, dir+"/db", statements)
}

// insert inserts rows until it is told to stop.
func (d *database) insert(ctx context.Context, who int) {
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%d.%d", who, n)
		cmd := exec.Command("sqlite3", "-cmd", patient, d.view+"/db", "INSERT INTO t VALUES('"+id+"', hex(randomblob(1500)));")
		d.mu.Lock()
		err := cmd.Start()
		d.running[cmd] = err == nil
		d.mu.Unlock()
		if err == nil {
			err = cmd.Wait()
		}
		d.mu.Lock()
		delete(d.running, cmd)
		d.said[id] = err == nil
		d.mu.Unlock()
		if err != nil {
			time.Sleep(10 * time.Millisecond) // the view is just being brought back
		}
	}
}

// kill ends one of those who take part.
func (d *database) kill(dice *rand.Rand) {
	switch dice.IntN(3) {
	case 0:
		d.mu.Lock()
		for cmd := range d.running {
			_ = cmd.Process.Kill()
			break
		}
		d.mu.Unlock()
	case 1:
		d.killHolder(filepath.Join(d.home, "tmp", "db", "view.lock"))
	case 2:
		d.killHolder(filepath.Join(d.home, "sessions", "system.lock"))
	}
	d.up()
}

func (d *database) killHolder(lock string) {
	if pid := holder(lock); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		gone(pid, 10*time.Second)
	}
}

func (d *database) endure(kills int, dice *rand.Rand) {
	d.run("astrid", "down", "--session", "db")
	d.run("astrid", "up", d.base, "--session", "db", d.option)
	ctx, stop := context.WithCancel(context.Background())
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	for who := range 3 {
		writers.Go(func() { d.insert(ctx, who) })
	}
	for range kills {
		time.Sleep(time.Duration(dice.IntN(400)) * time.Millisecond)
		d.kill(dice)
	}
	stop()
	writers.Wait()
	d.up()
	d.compare(d.view)
	d.sql(d.view, "PRAGMA wal_checkpoint(TRUNCATE);")
	d.run("astrid", "commit", "--session", "db")
	d.compare(d.base)
	d.run("astrid", "down", "--session", "db")
}

// compare looks for every row whose insert returned.
func (d *database) compare(dir string) {
	d.t.Helper()
	if got := d.sql(dir, "PRAGMA integrity_check;"); got != "ok" {
		d.t.Fatalf("integrity of %s: %s", dir, got)
	}
	there := map[string]bool{}
	for id := range strings.FieldsSeq(d.sql(dir, "SELECT id FROM t;")) {
		there[id] = true
	}
	returned := 0
	for id, ok := range d.said {
		if ok {
			returned++
		}
		if ok && !there[id] {
			d.t.Errorf("%s: the row %s is lost", dir, id)
		}
	}
	d.t.Logf("%d inserts returned, %d rows are there", returned, len(there))
	if returned == 0 {
		d.t.Error("no insert returned")
	}
}
