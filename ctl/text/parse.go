package text

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// ParseCommit reads one line of a commit file. ok is false for an empty line,
// which asks for nothing.
func ParseCommit(line string) (req wire.CommitRequest, ok bool, err error) {
	line = strings.TrimSpace(line)
	if line == "" {
		return req, false, nil
	}
	var all bool
	if line[0] == '{' {
		req, all, err = commitJSON(line)
	} else {
		req, all, err = commitWords(line)
	}
	switch {
	case err != nil:
	case len(req.Hunks) > 0 && (all || len(req.Paths) > 0):
		err = fault.New(fault.Usage, "commit: either hunks or what they are of, not both")
	case len(req.Hunks) == 0:
		err = scope("commit", all, req.Paths)
	}
	return req, err == nil, err
}

// ParseDiscard reads one line of a discard file, like ParseCommit.
func ParseDiscard(line string) (req wire.DiscardRequest, ok bool, err error) {
	line = strings.TrimSpace(line)
	if line == "" {
		return req, false, nil
	}
	var all bool
	if line[0] == '{' {
		var in struct {
			wire.DiscardRequest
			All bool `json:"all"`
		}
		err = strict(line, &in)
		req, all = in.DiscardRequest, in.All
	} else {
		req, all, err = discardWords(line)
	}
	if err == nil {
		err = scope("discard", all, req.Paths)
	}
	return req, err == nil, err
}

// ParseUndo reads one line of an undo or redo file: last, or the number of a
// commit, and --dry-run; or a JSON object. It is like ParseCommit.
func ParseUndo(verb, line string) (req wire.UndoRequest, ok bool, err error) {
	return read(line, func(words []string) (req wire.UndoRequest, err error) {
		said := false
		for _, w := range words {
			n, bad := strconv.ParseUint(w, 10, 64)
			switch {
			case w == "--dry-run":
				req.DryRun = true
			case said || w != "last" && (bad != nil || n == 0):
				return req, fault.New(fault.Usage, "%s: say last or the number of a commit, and --dry-run if nothing is to be done, not %.40q", verb, line)
			default:
				said, req.Commit = true, n
			}
		}
		if !said {
			err = fault.New(fault.Usage, "%s: say which commit: last, or its number", verb)
		}
		return req, err
	})
}

// ParseResolve reads one line of a resolve file: mine or theirs, and paths; or a
// JSON object. It is like ParseCommit.
func ParseResolve(line string) (req wire.ResolveRequest, ok bool, err error) {
	return read(line, func(words []string) (req wire.ResolveRequest, err error) {
		if len(words) < 2 || words[0] != "mine" && words[0] != "theirs" {
			return req, fault.New(fault.Usage, "resolve: say mine or theirs, and the paths of conflicts")
		}
		req.Keep, req.Paths = words[0], words[1:]
		return req, nil
	})
}

// read reads a line that is empty, a JSON object, or words of which fromWords makes
// what is asked for.
func read[Q any](line string, fromWords func([]string) (Q, error)) (req Q, ok bool, err error) {
	line = strings.TrimSpace(line)
	if line == "" {
		return req, false, nil
	}
	if line[0] == '{' {
		err = strict(line, &req)
		return req, err == nil, err
	}
	words, err := Words(line)
	if err != nil || len(words) == 0 {
		return req, false, err
	}
	req, err = fromWords(words)
	return req, err == nil, err
}

// scope makes sure that a line says what it is about.
func scope(verb string, all bool, paths []string) error {
	switch {
	case all && len(paths) > 0:
		return fault.New(fault.Usage, "%s: either all or paths, not both (a path called all is ./all)", verb)
	case !all && len(paths) == 0:
		return fault.New(fault.Usage, "%s: say what: all, or paths", verb)
	}
	for _, p := range paths {
		if p == "" {
			return fault.New(fault.Usage, "%s: an empty path", verb)
		}
	}
	return nil
}

// strict decodes JSON whose unknown names are errors.
func strict(line string, into any) error {
	if err := json.Unmarshal([]byte(line), into, json.RejectUnknownMembers(true)); err != nil {
		return fault.Wrap(fault.Usage, err, "malformed JSON")
	}
	return nil
}

func commitJSON(line string) (wire.CommitRequest, bool, error) {
	var in struct {
		wire.CommitRequest
		All bool `json:"all"`
	}
	err := strict(line, &in)
	return in.CommitRequest, in.All, err
}

func discardWords(line string) (req wire.DiscardRequest, all bool, err error) {
	words, err := Words(line)
	if err != nil {
		return req, false, err
	}
	literal, excluding := false, false
	for _, w := range words {
		name, value, inline := strings.Cut(w, "=")
		switch {
		case excluding:
			req.Exclude, excluding = append(req.Exclude, w), false
		case literal:
			req.Paths = append(req.Paths, w)
		case name == "--exclude" && inline:
			req.Exclude = append(req.Exclude, value)
		case w == "--exclude":
			excluding = true
		case w == "--":
			literal = true
		case w == "all":
			all = true
		case strings.HasPrefix(w, "-"):
			return req, false, fault.New(fault.Usage, "discard has no option %.40q", w)
		default:
			req.Paths = append(req.Paths, w)
		}
	}
	if excluding || slices.Contains(req.Exclude, "") {
		return req, false, fault.New(fault.Usage, "discard: --exclude needs a value")
	}
	return req, all, nil
}

func commitWords(line string) (wire.CommitRequest, bool, error) {
	words, err := Words(line)
	p := commitParser{words: words}
	for err == nil && len(p.words) > 0 {
		err = p.next()
	}
	return p.req, p.all, err
}

type commitParser struct {
	words   []string
	req     wire.CommitRequest
	all     bool
	literal bool // after --
}

// next takes one option or path.
func (p *commitParser) next() error {
	w := p.words[0]
	p.words = p.words[1:]
	name, value, inline := strings.Cut(w, "=")
	switch {
	case p.literal || !strings.HasPrefix(w, "-") && w != "all":
		p.req.Paths = append(p.req.Paths, w)
		return nil
	case w == "all":
		p.all = true
		return nil
	case w == "--":
		p.literal = true
		return nil
	case w == "--dry-run":
		p.req.DryRun = true
		return nil
	case w == "--git":
		return p.git("yes")
	case w == "--no-git":
		return p.git("no")
	}
	if !inline {
		if len(p.words) == 0 {
			return p.unknown(name, true)
		}
		value = p.words[0]
	}
	if err := p.valued(name, value); err != nil {
		return err
	}
	if !inline {
		p.words = p.words[1:]
	}
	return nil
}

// valued sets an option that has a value.
func (p *commitParser) valued(name, value string) error {
	switch name {
	case "--if":
		p.req.If = value
	case "--exclude":
		p.req.Exclude = append(p.req.Exclude, value)
	case "--hunk":
		p.req.Hunks = append(p.req.Hunks, value)
	case "-m", "--message":
		p.req.Message = value
	default:
		return p.unknown(name, false)
	}
	if value == "" {
		return fault.New(fault.Usage, "commit: %s needs a value", name)
	}
	return nil
}

func (p *commitParser) unknown(name string, last bool) error {
	switch name {
	case "--if", "--exclude", "--hunk", "-m", "--message":
		if last {
			return fault.New(fault.Usage, "commit: %s needs a value", name)
		}
	}
	return fault.New(fault.Usage, "commit has no option %.40q", name)
}

func (p *commitParser) git(word string) error {
	if p.req.Git != "" && p.req.Git != word {
		return fault.New(fault.Usage, "commit: either --git or --no-git")
	}
	p.req.Git = word
	return nil
}
