package readme

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// root is the directory of the module.
const root = "../../../.."

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// program builds astrid and returns the directory that it is in.
func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "astrid"), "./cmd/astrid")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// screen is the first block of commands, without the line that builds.
func screen(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(readme(t), "```sh\n")
	block, _, found := strings.Cut(rest, "```")
	first, block, _ := strings.Cut(block, "\n")
	if !found || !strings.HasPrefix(first, "make build") {
		t.Fatal("README does not begin with a block of commands that builds first")
	}
	return block
}

func TestFirstScreen(t *testing.T) {
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skip("needs a FUSE mount: ", err)
	} else {
		f.Close()
	}
	if out, err := exec.Command("unshare", "--user", "true").CombinedOutput(); err != nil {
		t.Skipf("needs user namespaces: %v: %s", err, out)
	}
	// The home is not one of t's: its path would be too long for a socket.
	home, err := os.MkdirTemp("", "astrid-readme")
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+home, "ASTRID_HOME="+home+"/.astrid", "PATH="+program(t)+":"+os.Getenv("PATH"))
	t.Cleanup(func() { tidy(t, home, env) })

	var out, advice bytes.Buffer
	cmd := exec.Command("bash", "-eu")
	cmd.Env, cmd.Dir = env, home
	cmd.Stdin = strings.NewReader(screen(t))
	cmd.Stdout, cmd.Stderr = &out, &advice
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, &out, &advice)
	}
	said := out.String()
	for _, want := range []string{
		home + "/.astrid/sessions/hello/workspace\nhello world\n",
		"M greeting\n", "R old new\n", "+hello view\n",
		"hello view\nmade in " + home + "/hello\n",
	} {
		_, rest, found := strings.Cut(said, want)
		if !found {
			t.Fatalf("it does not say\n%s\nbut\n%s", want, said)
		}
		said = rest
	}
}

// tidy ends what a failed run left, and wants nothing to be mounted.
func tidy(t *testing.T, home string, env []string) {
	cmd := exec.Command("bash", "-c", "astrid down --discard --force --yes")
	cmd.Env, cmd.Dir = env, "/"
	_ = cmd.Run() // most often there is nothing to end
	for deadline := time.Now().Add(10 * time.Second); mounted(t, home); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("something is still mounted below %s", home)
		}
	}
	if err := os.RemoveAll(home); err != nil {
		t.Error(err)
	}
}

func mounted(t *testing.T, dir string) bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(mounts, []byte(" "+dir+"/"))
}

// TestVerbs wants every verb of the program in README.
func TestVerbs(t *testing.T) {
	cmd := exec.Command(filepath.Join(program(t), "astrid"), "--help")
	cmd.Env = []string{"HOME=" + t.TempDir()}
	help, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := readme(t)
	_, list, found := strings.Cut(string(help), "Available Commands:\n")
	if !found {
		t.Fatalf("help lists no verbs:\n%s", help)
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		verb := strings.Fields(line)[0]
		if verb != "help" && !strings.Contains(text, "    astrid "+verb) {
			t.Errorf("README does not list astrid %s", verb)
		}
	}
}
