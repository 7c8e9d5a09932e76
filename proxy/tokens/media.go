package tokens

import (
	"encoding/base64"
	goimage "image"
	_ "image/gif" // image.DecodeConfig knows the formats that the Messages API takes
	_ "image/jpeg"
	_ "image/png"
	"strings"

	_ "golang.org/x/image/webp"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

const (
	pixelsPerToken = 750  // Anthropic's rule: width × height / 750
	maxImage       = 1600 // a larger image is scaled down to about this
	pageTokens     = 3000 // a page of a PDF, its text and its picture: 1,500 to 3,000 tokens of text by Anthropic's documentation
	pageBytes      = 75000
)

// imageTokens reads the size from the image's header. One whose size is not to be had (a URL, a file, a format unknown)
// counts as the largest.
func imageTokens(s anthropic.Source) int {
	if s.Type != "base64" {
		return maxImage
	}
	data := s.Data.Inner()
	if strings.Contains(data, `\`) { // a slash may be escaped
		data = s.Data.Text()
	}
	if strings.HasPrefix(data, "data:") {
		_, data, _ = strings.Cut(data, ",")
	}
	config, _, err := goimage.DecodeConfig(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
	if err != nil {
		return maxImage
	}
	w, h := min(config.Width, 1<<15), min(config.Height, 1<<15)
	return max(1, min(w*h/pixelsPerToken, maxImage))
}

// documentTokens goes by the size of a PDF, at 75 kB a page; one that is elsewhere counts as one page.
func documentTokens(s anthropic.Source) int {
	bytes := len(s.Data.Inner()) / 4 * 3
	return pageTokens * max(1, (bytes+pageBytes/2)/pageBytes)
}

// sealedTokens goes by the length of base64: four characters are three bytes of text, and four of these a token.
func sealedTokens(base64 int) int { return base64 * 3 / 16 }
