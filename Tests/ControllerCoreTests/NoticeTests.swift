import ControllerCore
import Testing

@Suite struct NoticeTests {
  @Test func keysAreShownWithoutControlCharacters() {
    #expect(printable(Array("user:1 \\ä\n".utf8)) == "user:1 \\\\\\xc3\\xa4\\x0a")
    #expect(hexadecimal(0xab) == "00000000000000ab")
  }
}
