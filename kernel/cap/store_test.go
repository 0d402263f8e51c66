package cap

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"astrid/kernel/fault"
)

func TestNothingIsAllowedByDefault(t *testing.T) {
	b := newBench(t)
	_, err := b.tokens.Check(alice(), Read, "file:///w/a")
	wantKind(t, err, fault.Denied, "insufficient capability: required read for file:///w/a")
}

func TestATokenGrantsWhatItSaysAndNothingElse(t *testing.T) {
	b := newBench(t)
	minted := b.mint(grant("file:///w/**", Read, List))
	bob := testKey(2).Public().User()
	for name, c := range map[string]struct {
		user     UserID
		perm     Permission
		resource string
		want     bool
	}{
		"what it is for":         {alice(), Read, "file:///w/a/b", true},
		"the other permission":   {alice(), List, "file:///w", true},
		"another permission":     {alice(), Write, "file:///w/a", false},
		"an unknown permission":  {alice(), "rule", "file:///w/a", false},
		"no permission":          {alice(), "", "file:///w/a", false},
		"another resource":       {alice(), Read, "file:///x", false},
		"another scheme":         {alice(), Read, "exec:///w/a", false},
		"no scheme":              {alice(), Read, "/w/a", false},
		"a resource that climbs": {alice(), Read, "file:///w/../etc", false},
		"climbing at the end":    {alice(), Read, "file:///w/a/..", false},
		"dots that do not climb": {alice(), Read, "file:///w/..a/...", true},
		"a control character":    {alice(), Read, "file:///w/a\nb", false},
		"not UTF-8":              {alice(), Read, "file:///w/\xff", false},
		"much too long":          {alice(), Read, "file:///w/" + strings.Repeat("a", MaxResource), false},
		"no resource":            {alice(), Read, "", false},
		"another user":           {bob, Read, "file:///w/a", false},
		"nobody":                 {UserID{}, Read, "file:///w/a", false},
	} {
		token, err := b.tokens.Check(c.user, c.perm, c.resource)
		if c.want && (err != nil || token.ID != minted.ID) || !c.want && !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOperationsAreResources(t *testing.T) {
	b := newBench(t)
	b.mint(grant("astrid://hello/session:*", Invoke))
	for resource, want := range map[string]bool{
		Operation("hello", "session:commit"): true,
		Operation("other", "session:commit"): false,
		Operation("", "kernel:read"):         false,
		Operation("..", "session:commit"):    false,
	} {
		if _, err := b.tokens.Check(alice(), Invoke, resource); (err == nil) != want {
			t.Errorf("%s: %v", resource, err)
		}
	}
}

func TestTokensExpireToTheSecond(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/*")
	g.ExpiresAt = b.clock.Now().Add(time.Minute)
	token := b.mint(g)
	b.clock.advance(time.Minute - 1)
	if _, err := b.tokens.Check(alice(), Read, "file:///w/a"); err != nil {
		t.Error(err)
	}
	b.clock.advance(1)
	_, err := b.tokens.Check(alice(), Read, "file:///w/a")
	wantKind(t, err, fault.Denied, "insufficient capability")
	_, err = b.tokens.Get(token.ID)
	wantKind(t, err, fault.Denied, "capability token expired: "+string(token.ID))
	wantKind(t, b.tokens.Use(token.ID), fault.Denied, "capability token expired: ")
	b.restart()
	_, err = b.tokens.Get(token.ID)
	wantKind(t, err, fault.Denied, "capability token expired: ")
	b.clock.advance(keep)
	b.restart()
	_, err = b.tokens.Get(token.ID)
	wantKind(t, err, fault.NotFound, "capability token not found: "+string(token.ID))
	_, err = b.tokens.Mint(g)
	wantKind(t, err, fault.Usage, "would have expired")
}

func TestATokenMayLiveAsLongAsATimeCanBeWritten(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/*")
	g.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	token := b.mint(g)
	b.restart()
	if _, err := b.tokens.Get(token.ID); err != nil {
		t.Error(err)
	}
	g.ExpiresAt = g.ExpiresAt.Add(time.Second)
	_, err := b.tokens.Mint(g)
	wantKind(t, err, fault.Usage, "after the year 9999")
	_, err = b.allow.Add(Allowance{Principal: "p", Pattern: CommandPrefix("git"), ExpiresAt: g.ExpiresAt})
	wantKind(t, err, fault.Usage, "after the year 9999")
}

func TestWhatIsMintedIsChecked(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		change func(*Grant)
		text   string
	}{
		"nobody":                {func(g *Grant) { g.User = UserID{} }, "for nobody"},
		"no permission":         {func(g *Grant) { g.Permissions = nil }, "without permissions"},
		"an unknown permission": {func(g *Grant) { g.Permissions = []Permission{"rule"} }, "unknown"},
		"a permission twice":    {func(g *Grant) { g.Permissions = []Permission{Read, Read} }, "twice"},
		"no resource":           {func(g *Grant) { g.Resource = "" }, "invalid resource pattern: "},
		"only a scheme":         {func(g *Grant) { g.Resource = "file://" }, "invalid resource pattern: "},
		"everything":            {func(g *Grant) { g.Resource = "**" }, "invalid resource pattern: "},
		"any scheme":            {func(g *Grant) { g.Resource = "*://x" }, "invalid resource pattern: "},
		"climbing":              {func(g *Grant) { g.Resource = "file:///w/../**" }, "a segment .."},
		"a class":               {func(g *Grant) { g.Resource = "file:///w/[ab]" }, "classes are not supported"},
		"an escape of nothing":  {func(g *Grant) { g.Resource = `file:///w/*\` }, "nothing to escape"},
		"a control character":   {func(g *Grant) { g.Resource = "file:///w/\x00" }, "control characters"},
		"too long":              {func(g *Grant) { g.Resource = "file:///" + strings.Repeat("a", MaxPattern) }, "longer than"},
		"no UUID":               {func(g *Grant) { g.Approval = "yes" }, "no UUID"},
	} {
		g := grant("file:///w/*")
		c.change(&g)
		if _, err := b.tokens.Mint(g); !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	longest := grant("file:///" + strings.Repeat("a", MaxPattern-8))
	b.mint(longest)
}

func TestOfSeveralTokensTheBestIsTaken(t *testing.T) {
	b := newBench(t)
	once, brief, long := grant("file:///w/*"), grant("file:///w/**"), grant("file:///w/a")
	once.SingleUse = true
	brief.ExpiresAt, long.ExpiresAt = b.clock.Now().Add(time.Minute), b.clock.Now().Add(time.Hour)
	a, c, d := b.mint(once), b.mint(brief), b.mint(long)
	for _, want := range []ID{d.ID, c.ID, a.ID} {
		got, err := b.tokens.Check(alice(), Read, "file:///w/a")
		if err != nil || got.ID != want {
			t.Fatalf("%v, %v", got, err)
		}
		if _, err := b.tokens.Revoke(Selector{ID: want}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTokensOfASessionEndWithItAndWithTheKernel(t *testing.T) {
	b := newBench(t)
	of := func(session string) Token {
		g := grant("file:///w/*")
		g.Session = session
		return b.mint(g)
	}
	one, two := of("one"), of("two")
	if one.Scope != ScopeSession {
		t.Errorf("the scope is %s", one.Scope)
	}
	text, _ := json.Marshal(one)
	_, err := b.tokens.Add(text)
	wantKind(t, err, fault.Denied, "ends with it")
	if n := b.tokens.EndSession("one"); n != 1 {
		t.Errorf("%d ended", n)
	}
	if n := b.tokens.EndSession(""); n != 0 {
		t.Errorf("%d ended", n)
	}
	_, err = b.tokens.Get(one.ID)
	wantKind(t, err, fault.NotFound, "")
	if _, err := b.tokens.Get(two.ID); err != nil {
		t.Error(err)
	}
	b.restart()
	_, err = b.tokens.Get(two.ID)
	wantKind(t, err, fault.NotFound, "")
	if keys, err := b.config.Tokens.List(""); err != nil || len(keys) != 0 {
		t.Errorf("on disk: %v, %v", keys, err)
	}
}

func TestForeignTokensNeedAPinnedIssuer(t *testing.T) {
	b := newBench(t)
	foreign := golden()
	foreign.ExpiresAt = time.Time{}
	foreign.sign(testKey(9))
	text, err := json.Marshal(foreign)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.tokens.Add(text)
	wantKind(t, err, fault.Denied, "is not trusted")

	b.config.Pinned = []ed25519.PublicKey{testKey(9).Private().Public().(ed25519.PublicKey)}
	b.restart()
	if _, err := b.tokens.Add(text); err != nil {
		t.Fatal(err)
	}
	b.restart()
	if _, err := b.tokens.Check(foreign.User, Invoke, "mcp://files:read_x"); err != nil {
		t.Error(err)
	}
	another := foreign
	another.Resource = "mcp://**"
	another.sign(testKey(9))
	text, _ = json.Marshal(another)
	_, err = b.tokens.Add(text)
	wantKind(t, err, fault.Exists, "another capability token")

	b.config.Pinned = nil
	b.restart()
	_, err = b.tokens.Check(foreign.User, Invoke, "mcp://files:read_x")
	wantKind(t, err, fault.Denied, "")
	c := b.config
	c.Pinned = []ed25519.PublicKey{{1}}
	_, err = Open(c)
	wantKind(t, err, fault.Usage, "pinned key of 1 bytes")
}

func TestATamperedStoreGrantsNothing(t *testing.T) {
	b := newBench(t)
	token := b.mint(grant("file:///w/*"))
	once := grant("file:///w/*")
	text, err := b.config.Tokens.Get(string(token.ID))
	if err != nil {
		t.Fatal(err)
	}
	session := token
	session.Scope = ScopeSession
	session.sign(b.config.Key)
	sessionText, _ := json.Marshal(session)
	for name, c := range map[string]struct{ key, value string }{
		"wider":             {string(token.ID), strings.Replace(string(text), "file:///w/*", "file:///**", 1)},
		"garbage":           {string(token.ID), "garbage"},
		"a session's token": {string(token.ID), string(sessionText)},
		"under another id":  {string(newID(false)), string(text)},
	} {
		if _, err := b.config.Tokens.Clear(""); err != nil {
			t.Fatal(err)
		}
		if err := b.config.Tokens.Set(c.key, []byte(c.value)); err != nil {
			t.Fatal(err)
		}
		b.restart()
		if _, err := b.tokens.Check(once.User, Read, "file:///w/a"); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListSaysWhatEachTokenIs(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/**")
	live := b.mint(g)
	b.clock.advance(time.Second)
	g.ExpiresAt = b.clock.Now().Add(time.Second)
	expired := b.mint(g)
	b.clock.advance(time.Second)
	g.ExpiresAt, g.Session = time.Time{}, "one"
	revoked := b.mint(g)
	b.clock.advance(time.Second)
	g.SingleUse = true
	used := b.mint(g)
	if err := b.tokens.Use(used.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.tokens.Revoke(Selector{ID: revoked.ID}); err != nil {
		t.Fatal(err)
	}
	show := func(f Filter) string {
		t.Helper()
		list, err := b.tokens.List(f)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, i := range list {
			words = append(words, string(i.State)+i.Session)
		}
		return strings.Join(words, " ")
	}
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{Dead: true}, "live expired revokedone usedone"},
		{Filter{}, "live"},
		{Filter{Dead: true, Session: "one"}, "revokedone usedone"},
		{Filter{Dead: true, Resource: "file:///w/a"}, "live expired revokedone usedone"},
		{Filter{Dead: true, Resource: "file:///x"}, ""},
		{Filter{Dead: true, User: testKey(2).Public().User()}, ""},
	} {
		if got := show(c.filter); got != c.want {
			t.Errorf("%+v: %s, want %s", c.filter, got, c.want)
		}
	}
	_, err := b.tokens.List(Filter{Resource: "x"})
	wantKind(t, err, fault.Usage, "invalid resource pattern")
	if got, err := b.tokens.Get(live.ID); err != nil || cmp.Diff(live, got) != "" {
		t.Errorf("%v", err)
	}
	if _, err := b.tokens.Get(expired.ID); err == nil {
		t.Error("expired")
	}
}

func TestTheNumberOfTokensIsBounded(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/*")
	g.Session, g.ExpiresAt = "s", b.clock.Now().Add(time.Second)
	for range MaxTokens {
		b.mint(g)
	}
	_, err := b.tokens.Mint(g)
	wantKind(t, err, fault.Limit, "10000 capability tokens")
	b.clock.advance(keep + 2*time.Second)
	b.mint(grant("file:///w/*"))
}

func TestAFailingDiskGrantsNothing(t *testing.T) {
	b := newBench(t)
	g := grant("file:///w/*")
	g.SingleUse = true
	token := b.mint(g)
	if err := b.state.Close(); err != nil {
		t.Fatal(err)
	}
	_, mint := b.tokens.Mint(g)
	_, revoke := b.tokens.Revoke(Selector{ID: token.ID})
	_, allow := b.allow.Add(Allowance{Principal: "p", Pattern: Pattern{Type: Custom}})
	_, open := Open(b.config)
	for name, err := range map[string]error{"mint": mint, "use": b.tokens.Use(token.ID), "revoke": revoke, "allow": allow, "open": open} {
		if !fault.Is(err, fault.Unavailable) || !strings.HasPrefix(err.Error(), "storage error") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := b.tokens.List(Filter{}); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}
