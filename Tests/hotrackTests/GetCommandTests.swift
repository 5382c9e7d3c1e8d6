import Testing

@testable import hotrack

@Suite struct GetCommandTests {
  @Test(arguments: [
    (Array("héllo\n\t".utf8), "héllo\n\t"), ([0x1b, 0x5b, 0x32, 0x4a], "\\x1b[2J"),
    ([0xff, 0x61, 0x0a], "\\xffa\\x0a"), ([0xc2, 0x9b], "\\xc2\\x9b"), ([], ""),
  ])
  func whatWouldSteerATerminalIsShownEscaped(_ bytes: [UInt8], _ shown: String) {
    #expect(GetCommand.printable(bytes) == shown)
  }
}
