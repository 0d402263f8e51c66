package wire

import "time"

// Question is one that a capsule asks people, and that waits for an answer.
type Question struct {
	ID        string          `json:"id"`
	Message   string          `json:"message"`
	Fields    []QuestionField `json:"fields"`
	Schema    Raw             `json:"schema"` // JSON schema of the fields
	Capsule   string          `json:"capsule,omitempty"`
	Principal string          `json:"principal"` // on whose behalf
	Session   string          `json:"session,omitempty"`
	Asked     time.Time       `json:"asked"`
	Expires   time.Time       `json:"expires"` // after which it is declined
}

// QuestionField is one value that is asked for.
type QuestionField struct {
	Name     string   `json:"name"`
	Title    string   `json:"title,omitempty"`
	About    string   `json:"about,omitempty"`
	Type     string   `json:"type"` // string, number, integer, boolean, array (of texts) or secret
	Options  []string `json:"options,omitempty"`
	Default  string   `json:"default,omitempty"`
	Required bool     `json:"required,omitzero"`
}

// AnswerQuestion answers one: with Content, a JSON object of the fields, with
// Values, their texts as people type them, or not at all. The only field of a form
// may go without its name.
type AnswerQuestion struct {
	ID      string              `json:"request_id"`
	Content Raw                 `json:"content,omitzero"`
	Values  map[string][]string `json:"values,omitzero"`
	Decline bool                `json:"decline,omitzero"`
}

// Public is the answer without what was answered, which is in no record.
func (a AnswerQuestion) Public() any { return AnswerQuestion{ID: a.ID, Decline: a.Decline} }

// Answered says what became of a question.
type Answered struct {
	ID       string `json:"id"`
	Declined bool   `json:"declined,omitzero"`
}
