package tokenizer

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// pieceType is the enum of sentencepiece_model.proto.
type pieceType int

const (
	normal pieceType = iota + 1
	unknown
	control     // <s>, </s>: no text, and no text becomes them
	userDefined // always one token, wherever its text stands
	unused      // merged like the others, but split again in the result
	byteType    // <0x00> to <0xFF>
)

// addedText is a piece that no model's file has: a token of the files beside it that is not
// special, found in a text before everything else.
const addedText pieceType = 100

type piece struct {
	text  string
	score float32
	kind  pieceType
}

// spModel is what is used of a ModelProto
// (https://github.com/google/sentencepiece, src/sentencepiece_model.proto).
type spModel struct {
	pieces []piece

	modelType          int // trainer_spec
	spacesAtWordEnd    bool
	byteFallback       bool
	unkSurface         string
	bosPiece, eosPiece string

	normalizer       string // normalizer_spec
	charsmap         []byte
	addDummyPrefix   bool
	removeExtraSpace bool
	escapeSpaces     bool

	denormCharsmap []byte // denormalizer_spec
}

const modelBPE = 2

var modelTypes = map[int]string{1: "unigram", modelBPE: "BPE", 3: "word", 4: "char"}

// defaultUnknown is the text of the unknown piece where the model has no other.
const defaultUnknown = " \u2047 "

// parseModel reads the protobuf. Absent fields have the defaults of the .proto file.
func parseModel(b []byte) (*spModel, error) {
	m := &spModel{
		modelType: 1, unkSurface: defaultUnknown, bosPiece: "<s>", eosPiece: "</s>",
		addDummyPrefix: true, removeExtraSpace: true, escapeSpaces: true,
	}
	err := eachField(b, func(f field) error {
		switch f.num {
		case 1:
			p := piece{kind: normal}
			if err := f.readMessage(p.read); err != nil {
				return fmt.Errorf("piece %d: %w", len(m.pieces), err)
			}
			m.pieces = append(m.pieces, p)
		case 2:
			return f.readMessage(m.readTrainer)
		case 3:
			return f.readMessage(m.readNormalizer)
		case 5:
			return f.readMessage(func(f field) error {
				if f.num == 2 {
					m.denormCharsmap = f.data
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("not a SentencePiece model: %w", err)
	}
	return m, nil
}

func (p *piece) read(f field) error {
	switch f.num {
	case 1:
		return f.readString(&p.text)
	case 2:
		return f.readFloat(&p.score)
	case 3:
		return f.readInt((*int)(&p.kind))
	}
	return nil
}

func (m *spModel) readTrainer(f field) error {
	switch f.num {
	case 3:
		return f.readInt(&m.modelType)
	case 24:
		return f.readBool(&m.spacesAtWordEnd)
	case 35:
		return f.readBool(&m.byteFallback)
	case 44:
		return f.readString(&m.unkSurface)
	case 46:
		return f.readString(&m.bosPiece)
	case 47:
		return f.readString(&m.eosPiece)
	}
	return nil
}

func (m *spModel) readNormalizer(f field) error {
	switch f.num {
	case 1:
		return f.readString(&m.normalizer)
	case 2:
		m.charsmap = f.data
		return f.into(wireBytes)
	case 3:
		return f.readBool(&m.addDummyPrefix)
	case 4:
		return f.readBool(&m.removeExtraSpace)
	case 5:
		return f.readBool(&m.escapeSpaces)
	}
	return nil
}

// check refuses what this package cannot do exactly, and what no trainer writes.
func (m *spModel) check() error {
	switch {
	case len(m.pieces) == 0:
		return fmt.Errorf("not a SentencePiece model: want pieces, got none")
	case m.modelType != modelBPE:
		name, ok := modelTypes[m.modelType]
		if !ok {
			name = fmt.Sprint(m.modelType)
		}
		return fmt.Errorf("model type: want BPE, got %s", name)
	case len(m.charsmap) > 0:
		return fmt.Errorf("normalizer: want identity, got %.40q with a character map of %d bytes", m.normalizer,
			len(m.charsmap))
	case len(m.denormCharsmap) > 0:
		return fmt.Errorf("denormalizer: want identity, got a character map of %d bytes", len(m.denormCharsmap))
	case m.spacesAtWordEnd:
		return fmt.Errorf("treat_whitespace_as_suffix: want false, got true")
	}
	unknowns, bytes := 0, map[string]bool{}
	for i, p := range m.pieces {
		switch {
		case p.text == "" || !utf8.ValidString(p.text):
			return fmt.Errorf("piece %d: want text in UTF-8, got %.40q", i, p.text)
		case math.IsNaN(float64(p.score)):
			return fmt.Errorf("piece %d (%.40q): want a score, got NaN", i, p.text)
		case p.kind < normal || p.kind > byteType:
			return fmt.Errorf("piece %d (%.40q): want a type from %d to %d, got %d", i, p.text, normal, byteType,
				p.kind)
		case p.kind == unknown:
			unknowns++
		case p.kind == byteType:
			if _, ok := byteValue(p.text); !ok || !m.byteFallback {
				return fmt.Errorf("piece %d: want byte pieces <0x00> to <0xFF>, and only with byte_fallback, got "+
					"%.40q,"+
					" byte_fallback %v", i, p.text, m.byteFallback)
			}
			bytes[p.text] = true
		}
	}
	if unknowns != 1 {
		return fmt.Errorf("want one unknown piece, got %d", unknowns)
	}
	if m.byteFallback && len(bytes) != 256 {
		return fmt.Errorf("byte_fallback: want 256 byte pieces, got %d", len(bytes))
	}
	return nil
}

const hexDigits = "0123456789ABCDEF"

// byteValue reads <0x0A>.
func byteValue(name string) (byte, bool) {
	if len(name) != 6 || name[:3] != "<0x" || name[5] != '>' {
		return 0, false
	}
	hi, lo := strings.IndexByte(hexDigits, name[3]), strings.IndexByte(hexDigits, name[4])
	return byte(hi<<4 | lo&15), hi >= 0 && lo >= 0
}
