import Testing

@testable import Configuration

@Suite struct SourcePlacesTests {
  private static let text = """
    # [rack] is not here, but in the next line.
    [rack]
    name = "[directory]"  # name = 2
    'address' = \"""
    a = 1
    [policy]
    \"""
    hash.seed = 7
    list = [  # of three
      1, "two ]",

      [3, 4] ]
    pair = { a = 1, b.c = [ { d = 2 }, {} ] }
      [[server]]
    number = 0
    [server.more]
    x = 1
    [[server]]
    ümlaut = 1
    number = 'ü', 1
    [[server.disk]]
    size = 1
    [[server.disk]]
    size = 2
    [a."b c".d]
    e = '''''two''''' # "
    f = true
    """

  @Test(arguments: [
    ("rack", 2, 1), ("rack.name", 3, 8), ("rack.address", 4, 13), ("rack.hash.seed", 8, 13),
    ("rack.list", 9, 8), ("rack.list[0]", 10, 3), ("rack.list[1]", 10, 6),
    ("rack.list[2]", 12, 3), ("rack.list[2][1]", 12, 7), ("rack.pair", 13, 8),
    ("rack.pair.a", 13, 14), ("rack.pair.b.c", 13, 23), ("rack.pair.b.c[0].d", 13, 31),
    ("rack.pair.b.c[1]", 13, 36), ("server", 14, 3), ("server[0].number", 15, 10),
    ("server[0].more.x", 17, 5), ("server[1]", 18, 1), ("server[1].number", 20, 10),
    ("server[1].disk[0].size", 22, 8), ("server[1].disk[1].size", 24, 8), ("a.b c.d.f", 27, 5),
    // What is not there: where it should be.
    ("rack.port", 2, 1), ("server[0].mac", 14, 3), ("server[1].disk[1].speed", 23, 1),
    ("rack.pair.b.c[0].x", 13, 25), ("rack.list[9]", 9, 8),
  ])
  func valuesAreFound(_ path: String, _ line: Int, _ column: Int) {
    let places = SourcePlaces(Self.text)
    #expect(places.value(path) == TextPlace(line: line, column: column), "\(path)")
  }

  @Test func keysAreFound() {
    let places = SourcePlaces(Self.text)
    #expect(places.key("rack.name") == TextPlace(line: 3, column: 1))
    #expect(places.key("rack.pair.b.c") == TextPlace(line: 13, column: 17))
    #expect(places.key("policy") == nil && places.value("policy.choice") == nil)
  }

  @Test func columnsCountCharacters() {
    #expect(SourcePlaces("x = ['ü', 1]").value("x[1]") == TextPlace(line: 1, column: 11))
    #expect(SourcePlaces("a = 1\r\nb = 2").value("b") == TextPlace(line: 2, column: 5))
  }

  /// The parser refuses most of these before.
  @Test(arguments: [
    "", "[", "[[", "a", "a =", "a = [", "a = {", "= 1", "a = [}", "a = {]", "a = \"", "[a.",
    "a.b.", "a = ]", "\u{0}", "a = '''", "[[a]\n[a", "a = [,,]", "a = {,=,}", "]", "\"",
  ])
  func anyTextIsGoneThrough(_ text: String) {
    _ = SourcePlaces(text).value("a.b[3]")
  }

  @Test func depthAndNumberAreBounded() {
    let deep = "a = " + String(repeating: "[", count: 100_000)
    #expect(SourcePlaces(deep).values.count < 20)
    let many = "a = [" + String(repeating: "1,", count: 100_000) + "]\nb = 1"
    #expect(SourcePlaces(many).values.count <= 20_000)
  }
}
