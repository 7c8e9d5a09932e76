package dialect_test
import ("testing";"github.com/tidwall/gjson")
func TestZZ(t *testing.T){ for i:=0;i<9;i++ { s:="\"aaaaaaaaa"[:1+i]+"\x00\x80\x00\x00bbbbbbbbbbbbb\""; if gjson.Valid(s){t.Log(i,"accepted")} } 
 s:="\"aaaaaaaaa\x01bbbbbbbbb\""; t.Log(gjson.Valid(s)) }
