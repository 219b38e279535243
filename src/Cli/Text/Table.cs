namespace Godwit.Cli.Text;

/// <summary>A table as plain columns, two spaces apart: easy to read and to cut with awk.</summary>
/// <param name="paint">Colours for the heading.</param>
/// <param name="headings">Column headings; one that begins with '&gt;' aligns its column to the right.</param>
internal sealed class Table(Paint paint, params string[] headings)
{
    private const string Gap = "  ";
    private readonly List<(string[] Cells, Func<string, string>? Colour)> _rows = [];

    /// <summary>Adds a row.</summary>
    public void Add(params string[] cells) => AddColoured(null, cells);

    /// <summary>Adds a row with a colour.</summary>
    public void AddColoured(Func<string, string>? colour, params string[] cells) =>
        _rows.Add((Array.ConvertAll(cells, Printable.From), colour));

    /// <summary>Writes heading and rows.</summary>
    public void Write(TextWriter writer)
    {
        var names = Array.ConvertAll(headings, heading => heading.TrimStart('>'));
        var widths = new int[headings.Length];
        for (var i = 0; i < widths.Length; i++)
            widths[i] = Math.Max(names[i].Length, _rows.Count == 0 ? 0 : _rows.Max(row => row.Cells[i].Length));
        writer.WriteLine(paint.Bold(Line(names, widths)));
        foreach (var (cells, colour) in _rows)
        {
            var line = Line(cells, widths);
            writer.WriteLine(colour is null ? line : colour(line));
        }
    }

    private string Line(string[] cells, int[] widths)
    {
        var padded = new string[cells.Length];
        for (var i = 0; i < cells.Length; i++)
            padded[i] = headings[i].StartsWith('>') ? cells[i].PadLeft(widths[i]) : cells[i].PadRight(widths[i]);
        return string.Join(Gap, padded).TrimEnd();
    }
}
