package mcp

import (
	"context"
	"fmt"
	"testing"
	"time"

	"astrid/kernel/fault"
)

func TestProgramsThatBreakTheProtocolAreEndedWithAReason(t *testing.T) {
	for mode, words := range map[string][]string{
		"garbage": {"no message", "ended"},
		"flood":   {"no message"},
		"lines":   {"no message of at most 8388608 bytes"},
		"huge":    {"no message of at most 8388608 bytes", "exceeded"},
		"exit":    {"ended by itself: exit status 3", "cannot find the module x"},
		"refuse":  {"could not be connected to", "no licence"},
		"ancient": {"could not be connected to", "1999-12-31"},
		"quiet":   {"ended by itself"},
		"hang":    {"did not answer within 2s of its start"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			config := Config{}
			if mode == "hang" {
				config.ConnectTimeout = 2 * time.Second
			}
			w := newWorld(t, mode, config)
			w.refused("echo", fault.Unavailable, words...)
			w.isFault(w.Alive(), fault.Unavailable, words...)
		})
	}
}

func TestAProgramThatTalksUnaskedWithoutEndIsEnded(t *testing.T) {
	w := newWorld(t, "chatter", Config{ConnectTimeout: time.Minute})
	w.refused("echo", fault.Limit, "10000 messages")
}

func TestAProgramThatDiesInACallIsStartedAgain(t *testing.T) {
	w := newWorld(t, "good", Config{})
	w.refused("die", fault.Unavailable, "ended by itself: exit status 4")
	w.isFault(<-w.ended, fault.Unavailable)
	w.isFault(w.Alive(), fault.Unavailable)
	w.call("s", "echo", "")
	if err := w.Alive(); err != nil {
		t.Error(err)
	}
}

func TestWhatAProgramSaysBeforeItEndsIsHeard(t *testing.T) {
	w := newWorld(t, "lastwords", Config{})
	if got := w.call("s", "echo", ""); got != "bye" {
		t.Error(got)
	}
}

func TestAProgramThatKeepsEndingIsStartedLessAndLess(t *testing.T) {
	w := newWorld(t, "exit", Config{})
	w.refused("echo", fault.Unavailable)
	for _, wait := range []time.Duration{2, 4, 8, 16, 32, 64, 120, 120} {
		started := w.starts()
		w.refused("echo", fault.Unavailable, "exit status 3")
		w.refused("echo", fault.Unavailable, fmt.Sprintf("is restarted at most every %v", wait*time.Second), "exit status 3")
		w.pass(wait*time.Second - 1)
		w.refused("echo", fault.Unavailable, "is restarted at most every")
		if n := w.starts() - started; n != 1 {
			t.Fatalf("started %d times before %v had passed", n, wait*time.Second)
		}
		w.pass(1)
	}
	w.become("good")
	w.call("s", "echo", "")
	w.pass(calm)
	w.refused("die", fault.Unavailable)
	w.call("s", "echo", "")
}

func TestTheEndOfASessionForgetsThatItsProgramKeptEnding(t *testing.T) {
	w := newWorld(t, "exit", Config{})
	w.refused("echo", fault.Unavailable)
	w.refused("echo", fault.Unavailable)
	w.refused("echo", fault.Unavailable, "is restarted at most every 2s")
	if err := w.EndSession(t.Context(), "s"); err != nil {
		t.Error(err)
	}
	w.become("good")
	w.call("s", "echo", "")
}

func TestAProgramThatNeverAnswersIsEndedAfterThreeCalls(t *testing.T) {
	w := newWorld(t, "mute", Config{CallTimeout: 50 * time.Millisecond})
	for range maxSilent {
		w.refused("echo", fault.Unavailable, "did not answer within 50ms")
	}
	w.isFault(<-w.ended, fault.Unavailable, "3 calls in a row")
}

func TestAProgramThatDoesNotReadHoldsUpNobody(t *testing.T) {
	w := newWorld(t, "deaf", Config{CallTimeout: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	big := []byte(`{"a":"` + fmt.Sprintf("%0*d", MaxArguments/2, 0) + `"}`)
	_, err := w.Call(ctx, "s", "echo", big)
	w.isFault(err, fault.Unavailable, "given up")
}

func TestAProgramThatDoesNotEndIsKilled(t *testing.T) {
	w := newWorld(t, "stubborn", Config{})
	w.call("s", "echo", "")
	if err := w.EndSession(t.Context(), "s"); err != nil {
		t.Error(err)
	}
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
}

func TestClosingDoesNotWaitLongerThanItIsTold(t *testing.T) {
	w := newWorld(t, "stubborn", Config{})
	w.call("s", "echo", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.isFault(w.Close(ctx), fault.Interrupted, "has not ended in time")
}

func TestCallsThatRunWhenTheServerClosesFail(t *testing.T) {
	w := newWorld(t, "good", Config{})
	failed := make(chan error)
	go func() {
		_, err := w.Call(t.Context(), "s", "slow", nil)
		failed <- err
	}()
	w.log.await(t.Context(), "slow began")
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	w.isFault(<-failed, fault.Unavailable, "was ended before it answered")
}

func TestListsWithoutEndAreRefused(t *testing.T) {
	w := newWorld(t, "pages", Config{})
	_, err := w.Tools(t.Context(), "s")
	w.isFault(err, fault.Limit, "64 pages")
	if list, err := w.Resources(t.Context(), "s"); err != nil || len(list) != 0 {
		t.Errorf("a server without resources has %v, %v", list, err)
	}
	if list, err := w.Prompts(t.Context(), "s"); err != nil || len(list) != 0 {
		t.Errorf("a server without prompts has %v, %v", list, err)
	}
}

func TestAnOddAnswerFailsOneCallOnly(t *testing.T) {
	w := newWorld(t, "odd", Config{})
	w.refused("echo", fault.Internal, "something odd")
	w.refused("echo", fault.Internal, "something odd")
	if w.starts() != 1 {
		t.Error("the program was ended")
	}
}

func TestAProgramThatCannotBeLaunchedSaysWhy(t *testing.T) {
	w := launching(t, "", Config{}, func(string) []string { return []string{"/nonexistent/program"} })
	w.refused("echo", fault.Unavailable, "/nonexistent/program")
}

func TestQuestionsGoToPeople(t *testing.T) {
	for name, c := range map[string]struct {
		approve func(context.Context, Elicitation) (Answer, error)
		want    string
	}{
		"nobody to ask declines": {nil, `{"action":"decline"}`},
		"an answer is accepted": {func(_ context.Context, e Elicitation) (Answer, error) {
			if e.Session != "s" || e.Message != "Which colour?" || len(e.Schema) == 0 {
				return Answer{}, fmt.Errorf("asked %+v", e)
			}
			return Answer{Accepted: true, Content: map[string]any{"colour": "red"}}, nil
		}, `{"action":"accept","content":{"colour":"red"}}`},
		"the zero answer declines": {func(context.Context, Elicitation) (Answer, error) { return Answer{}, nil }, `{"action":"decline"}`},
		"an error declines": {func(context.Context, Elicitation) (Answer, error) {
			return Answer{Accepted: true}, context.DeadlineExceeded
		}, `{"action":"decline"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "good", Config{Approve: c.approve})
			if got := w.call("s", "ask", ""); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAnAnswerThatDoesNotFitTheFormIsNotSent(t *testing.T) {
	w := newWorld(t, "good", Config{Approve: func(context.Context, Elicitation) (Answer, error) {
		return Answer{Accepted: true, Content: map[string]any{"colour": 7}}, nil
	}})
	w.refused("ask", fault.Usage, "does not match requested schema")
}

func TestQuestionsAreFewEnough(t *testing.T) {
	asked := 0
	w := newWorld(t, "good", Config{Approve: func(context.Context, Elicitation) (Answer, error) {
		asked++
		return Answer{}, nil
	}})
	for range MaxQuestions + 1 {
		w.call("s", "ask", "")
	}
	if asked != MaxQuestions {
		t.Errorf("people were asked %d times", asked)
	}
	w.pass(time.Minute)
	w.call("s", "ask", "")
	if asked != MaxQuestions+1 {
		t.Error("people are not asked a minute later")
	}
}

func TestTheTimeOfPeopleIsNotTheCalls(t *testing.T) {
	slow := make(chan struct{})
	w := newWorld(t, "good", Config{CallTimeout: time.Second, Approve: func(ctx context.Context, _ Elicitation) (Answer, error) {
		beyond, cancel := context.WithTimeout(ctx, 1200*time.Millisecond)
		defer cancel()
		<-beyond.Done()
		close(slow)
		return Answer{}, ctx.Err()
	}})
	w.call("s", "echo", "")
	w.call("s", "ask", "")
	<-slow
}

func TestAQuestionEndsWithItsProgram(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan struct{})
	w := newWorld(t, "good", Config{Approve: func(ctx context.Context, _ Elicitation) (Answer, error) {
		close(asked)
		<-ctx.Done()
		close(ended)
		return Answer{Accepted: true}, nil
	}})
	failed := make(chan error)
	go func() {
		_, err := w.Call(t.Context(), "s", "ask", nil)
		failed <- err
	}()
	<-asked
	if err := w.EndSession(t.Context(), "s"); err != nil {
		t.Error(err)
	}
	<-ended
	// The program may still answer that its question was declined.
	<-failed
}
