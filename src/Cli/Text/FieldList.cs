namespace Godwit.Cli.Text;

/// <summary>One object as "Name:   value" lines.</summary>
/// <param name="paint">Colours for the names.</param>
internal sealed class FieldList(Paint paint)
{
    private readonly List<(string Name, string Value)> _fields = [];

    /// <summary>Adds a field; one without a value is left out.</summary>
    public void Add(string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
            _fields.Add((name + ":", Printable.From(value)));
    }

    /// <summary>Writes the fields with their values aligned.</summary>
    public void Write(TextWriter writer)
    {
        var width = _fields.Max(field => field.Name.Length);
        foreach (var (name, value) in _fields)
            writer.WriteLine($"{paint.Bold(name)}{new string(' ', width - name.Length)}  {value}");
    }
}
