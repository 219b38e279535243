using System.Globalization;
using System.Text;
using Godwit.Api.Disks;

namespace Godwit.Cli.Text;

/// <summary>A value of the form PATH[,KEY=VALUE]…; a comma in the path is written twice.</summary>
internal sealed class SpecText
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    private SpecText(string path) => Path = path;

    /// <summary>What the value begins with; may be empty.</summary>
    public string Path { get; }

    /// <summary>Where a drive is to be, as far as it was said.</summary>
    public ControllerType? Controller { get; private set; }

    /// <summary>Which controller.</summary>
    public int? Number { get; private set; }

    /// <summary>Where on it.</summary>
    public int? Location { get; private set; }

    /// <summary>Takes a value apart. The keys controller, number and location are always understood.</summary>
    /// <param name="text">As typed.</param>
    /// <param name="keys">Other keys that may come.</param>
    /// <param name="error">What is wrong, when something is.</param>
    /// <returns>The parts, or null.</returns>
    public static SpecText? Read(string text, string[] keys, out string? error)
    {
        var parts = Split(text);
        var read = new SpecText(parts[0]);
        string[] all = [.. keys, "controller", "number", "location"];
        foreach (var part in parts.Skip(1))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var (key, value) = equals < 0 ? (part, "") : (part[..equals], part[(equals + 1)..]);
            if (equals < 0 || !all.Contains(key))
            {
                error = $"\"{part}\" is none of {string.Join("=…, ", all[..^1])}=… and {all[^1]}=… (a comma in the path is written twice)";
                return null;
            }

            if (!read._values.TryAdd(key, value))
            {
                error = $"{key} is given twice";
                return null;
            }
        }

        error = read.ReadPlace();
        return error is null ? read : null;
    }

    /// <summary>The value of a key, or null.</summary>
    public string? this[string key] => _values.GetValueOrDefault(key);

    private string? ReadPlace()
    {
        if (this["controller"] is { } word)
        {
            Controller = Kebab.Parse<ControllerType>(word);
            if (Controller is null)
                return $"\"{word}\" is not a controller: use {Kebab.List<ControllerType>()}";
        }

        foreach (var key in (string[])["number", "location"])
        {
            if (this[key] is not { } value)
                continue;
            if (!int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var place))
                return $"\"{value}\" is not a {key}";
            if (Controller is null)
                return $"{key} needs controller=…";
            (Number, Location) = key == "number" ? ((int?)place, Location) : (Number, (int?)place);
        }

        return null;
    }

    private static List<string> Split(string text)
    {
        var parts = new List<string>();
        var part = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != ',')
            {
                part.Append(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == ',')
            {
                part.Append(',');
                i++;
            }
            else
            {
                parts.Add(part.ToString());
                part.Clear();
            }
        }

        parts.Add(part.ToString());
        return parts;
    }
}
