package jinja

import (
	"strings"
	"unicode/utf8"
)

// Go's tables of cases know one letter for one. These are Unicode's others, each letter
// with what becomes of it, as Python 3.11 has them.

func runeTable(pairs string) map[rune]string {
	words := strings.Fields(pairs)
	t := make(map[rune]string, len(words)/2)
	for i := 0; i < len(words); i += 2 {
		r, _ := utf8.DecodeRuneInString(words[i])
		t[r] = words[i+1]
	}
	return t
}

// specialUpper are letters that several capitals stand for.
var specialUpper = runeTable(
	"ß SS ŉ ʼN ǰ J̌ ΐ Ϊ́ ΰ Ϋ́ և ԵՒ ẖ H̱ ẗ T̈ ẘ W̊ ẙ Y̊ ẚ Aʾ ὐ Υ̓ ὒ Υ̓̀ " +
		"ὔ Υ̓́ ὖ Υ̓͂ ᾀ ἈΙ ᾁ ἉΙ ᾂ ἊΙ ᾃ ἋΙ ᾄ ἌΙ ᾅ ἍΙ ᾆ ἎΙ ᾇ ἏΙ ᾈ ἈΙ ᾉ ἉΙ ᾊ ἊΙ " +
		"ᾋ ἋΙ ᾌ ἌΙ ᾍ ἍΙ ᾎ ἎΙ ᾏ ἏΙ ᾐ ἨΙ ᾑ ἩΙ ᾒ ἪΙ ᾓ ἫΙ ᾔ ἬΙ ᾕ ἭΙ ᾖ ἮΙ ᾗ ἯΙ ᾘ ἨΙ " +
		"ᾙ ἩΙ ᾚ ἪΙ ᾛ ἫΙ ᾜ ἬΙ ᾝ ἭΙ ᾞ ἮΙ ᾟ ἯΙ ᾠ ὨΙ ᾡ ὩΙ ᾢ ὪΙ ᾣ ὫΙ ᾤ ὬΙ ᾥ ὭΙ ᾦ ὮΙ " +
		"ᾧ ὯΙ ᾨ ὨΙ ᾩ ὩΙ ᾪ ὪΙ ᾫ ὫΙ ᾬ ὬΙ ᾭ ὭΙ ᾮ ὮΙ ᾯ ὯΙ ᾲ ᾺΙ ᾳ ΑΙ ᾴ ΆΙ ᾶ Α͂ ᾷ Α͂Ι " +
		"ᾼ ΑΙ ῂ ῊΙ ῃ ΗΙ ῄ ΉΙ ῆ Η͂ ῇ Η͂Ι ῌ ΗΙ ῒ Ϊ̀ ΐ Ϊ́ ῖ Ι͂ ῗ Ϊ͂ ῢ Ϋ̀ ΰ Ϋ́ " +
		"ῤ Ρ̓ ῦ Υ͂ ῧ Ϋ͂ ῲ ῺΙ ῳ ΩΙ ῴ ΏΙ ῶ Ω͂ ῷ Ω͂Ι ῼ ΩΙ ﬀ FF ﬁ FI ﬂ FL ﬃ FFI " +
		"ﬄ FFL ﬅ ST ﬆ ST ﬓ ՄՆ ﬔ ՄԵ ﬕ ՄԻ ﬖ ՎՆ ﬗ ՄԽ")

// specialTitle are letters that become several at the beginning of a word.
var specialTitle = runeTable(
	"ß Ss ŉ ʼN ǰ J̌ ΐ Ϊ́ ΰ Ϋ́ և Եւ ẖ H̱ ẗ T̈ ẘ W̊ ẙ Y̊ ẚ Aʾ ὐ Υ̓ ὒ Υ̓̀ " +
		"ὔ Υ̓́ ὖ Υ̓͂ ᾲ Ὰͅ ᾴ Άͅ ᾶ Α͂ ᾷ ᾼ͂ ῂ Ὴͅ ῄ Ήͅ ῆ Η͂ ῇ ῌ͂ ῒ Ϊ̀ ΐ Ϊ́ ῖ Ι͂ " +
		"ῗ Ϊ͂ ῢ Ϋ̀ ΰ Ϋ́ ῤ Ρ̓ ῦ Υ͂ ῧ Ϋ͂ ῲ Ὼͅ ῴ Ώͅ ῶ Ω͂ ῷ ῼ͂ ﬀ Ff ﬁ Fi ﬂ Fl " +
		"ﬃ Ffi ﬄ Ffl ﬅ St ﬆ St ﬓ Մն ﬔ Մե ﬕ Մի ﬖ Վն ﬗ Մխ")

// specialFold are letters whose folded form is not the small one.
var specialFold = runeTable(
	"µ μ ß ss ŉ ʼn ſ s ǰ ǰ ͅ ι ΐ ΐ ΰ ΰ ς σ ϐ β ϑ θ ϕ φ ϖ π ϰ κ ϱ ρ ϵ ε " +
		"և եւ Ꭰ Ꭰ Ꭱ Ꭱ Ꭲ Ꭲ Ꭳ Ꭳ Ꭴ Ꭴ Ꭵ Ꭵ Ꭶ Ꭶ Ꭷ Ꭷ Ꭸ Ꭸ Ꭹ Ꭹ Ꭺ Ꭺ Ꭻ Ꭻ Ꭼ Ꭼ Ꭽ Ꭽ Ꭾ Ꭾ Ꭿ Ꭿ " +
		"Ꮀ Ꮀ Ꮁ Ꮁ Ꮂ Ꮂ Ꮃ Ꮃ Ꮄ Ꮄ Ꮅ Ꮅ Ꮆ Ꮆ Ꮇ Ꮇ Ꮈ Ꮈ Ꮉ Ꮉ Ꮊ Ꮊ Ꮋ Ꮋ Ꮌ Ꮌ Ꮍ Ꮍ Ꮎ Ꮎ Ꮏ Ꮏ Ꮐ Ꮐ " +
		"Ꮑ Ꮑ Ꮒ Ꮒ Ꮓ Ꮓ Ꮔ Ꮔ Ꮕ Ꮕ Ꮖ Ꮖ Ꮗ Ꮗ Ꮘ Ꮘ Ꮙ Ꮙ Ꮚ Ꮚ Ꮛ Ꮛ Ꮜ Ꮜ Ꮝ Ꮝ Ꮞ Ꮞ Ꮟ Ꮟ Ꮠ Ꮠ Ꮡ Ꮡ " +
		"Ꮢ Ꮢ Ꮣ Ꮣ Ꮤ Ꮤ Ꮥ Ꮥ Ꮦ Ꮦ Ꮧ Ꮧ Ꮨ Ꮨ Ꮩ Ꮩ Ꮪ Ꮪ Ꮫ Ꮫ Ꮬ Ꮬ Ꮭ Ꮭ Ꮮ Ꮮ Ꮯ Ꮯ Ꮰ Ꮰ Ꮱ Ꮱ Ꮲ Ꮲ " +
		"Ꮳ Ꮳ Ꮴ Ꮴ Ꮵ Ꮵ Ꮶ Ꮶ Ꮷ Ꮷ Ꮸ Ꮸ Ꮹ Ꮹ Ꮺ Ꮺ Ꮻ Ꮻ Ꮼ Ꮼ Ꮽ Ꮽ Ꮾ Ꮾ Ꮿ Ꮿ Ᏸ Ᏸ Ᏹ Ᏹ Ᏺ Ᏺ Ᏻ Ᏻ " +
		"Ᏼ Ᏼ Ᏽ Ᏽ ᏸ Ᏸ ᏹ Ᏹ ᏺ Ᏺ ᏻ Ᏻ ᏼ Ᏼ ᏽ Ᏽ ᲀ в ᲁ д ᲂ о ᲃ с ᲄ т ᲅ т ᲆ ъ ᲇ ѣ ᲈ ꙋ " +
		"ẖ ẖ ẗ ẗ ẘ ẘ ẙ ẙ ẚ aʾ ẛ ṡ ẞ ss ὐ ὐ ὒ ὒ ὔ ὔ ὖ ὖ ᾀ ἀι ᾁ ἁι " +
		"ᾂ ἂι ᾃ ἃι ᾄ ἄι ᾅ ἅι ᾆ ἆι ᾇ ἇι ᾈ ἀι ᾉ ἁι ᾊ ἂι ᾋ ἃι ᾌ ἄι ᾍ ἅι ᾎ ἆι ᾏ ἇι " +
		"ᾐ ἠι ᾑ ἡι ᾒ ἢι ᾓ ἣι ᾔ ἤι ᾕ ἥι ᾖ ἦι ᾗ ἧι ᾘ ἠι ᾙ ἡι ᾚ ἢι ᾛ ἣι ᾜ ἤι ᾝ ἥι " +
		"ᾞ ἦι ᾟ ἧι ᾠ ὠι ᾡ ὡι ᾢ ὢι ᾣ ὣι ᾤ ὤι ᾥ ὥι ᾦ ὦι ᾧ ὧι ᾨ ὠι ᾩ ὡι ᾪ ὢι ᾫ ὣι " +
		"ᾬ ὤι ᾭ ὥι ᾮ ὦι ᾯ ὧι ᾲ ὰι ᾳ αι ᾴ άι ᾶ ᾶ ᾷ ᾶι ᾼ αι ι ι ῂ ὴι ῃ ηι ῄ ήι " +
		"ῆ ῆ ῇ ῆι ῌ ηι ῒ ῒ ΐ ΐ ῖ ῖ ῗ ῗ ῢ ῢ ΰ ΰ ῤ ῤ ῦ ῦ ῧ ῧ " +
		"ῲ ὼι ῳ ωι ῴ ώι ῶ ῶ ῷ ῶι ῼ ωι ꭰ Ꭰ ꭱ Ꭱ ꭲ Ꭲ ꭳ Ꭳ ꭴ Ꭴ ꭵ Ꭵ ꭶ Ꭶ ꭷ Ꭷ ꭸ Ꭸ ꭹ Ꭹ " +
		"ꭺ Ꭺ ꭻ Ꭻ ꭼ Ꭼ ꭽ Ꭽ ꭾ Ꭾ ꭿ Ꭿ ꮀ Ꮀ ꮁ Ꮁ ꮂ Ꮂ ꮃ Ꮃ ꮄ Ꮄ ꮅ Ꮅ ꮆ Ꮆ ꮇ Ꮇ ꮈ Ꮈ ꮉ Ꮉ ꮊ Ꮊ " +
		"ꮋ Ꮋ ꮌ Ꮌ ꮍ Ꮍ ꮎ Ꮎ ꮏ Ꮏ ꮐ Ꮐ ꮑ Ꮑ ꮒ Ꮒ ꮓ Ꮓ ꮔ Ꮔ ꮕ Ꮕ ꮖ Ꮖ ꮗ Ꮗ ꮘ Ꮘ ꮙ Ꮙ ꮚ Ꮚ ꮛ Ꮛ " +
		"ꮜ Ꮜ ꮝ Ꮝ ꮞ Ꮞ ꮟ Ꮟ ꮠ Ꮠ ꮡ Ꮡ ꮢ Ꮢ ꮣ Ꮣ ꮤ Ꮤ ꮥ Ꮥ ꮦ Ꮦ ꮧ Ꮧ ꮨ Ꮨ ꮩ Ꮩ ꮪ Ꮪ ꮫ Ꮫ ꮬ Ꮬ " +
		"ꮭ Ꮭ ꮮ Ꮮ ꮯ Ꮯ ꮰ Ꮰ ꮱ Ꮱ ꮲ Ꮲ ꮳ Ꮳ ꮴ Ꮴ ꮵ Ꮵ ꮶ Ꮶ ꮷ Ꮷ ꮸ Ꮸ ꮹ Ꮹ ꮺ Ꮺ ꮻ Ꮻ ꮼ Ꮼ ꮽ Ꮽ " +
		"ꮾ Ꮾ ꮿ Ꮿ ﬀ ff ﬁ fi ﬂ fl ﬃ ffi ﬄ ffl ﬅ st ﬆ st ﬓ մն ﬔ մե ﬕ մի ﬖ վն ﬗ մխ")
