using System.Security.Cryptography;
using System.Text;

namespace Godwit.Fuzz.Engine;

/// <summary>Where inputs that found something go: one text file each, which <c>--replay</c> reads.</summary>
internal sealed class FindingFolder(string folder, string target)
{
    private readonly HashSet<string> _shapes = [];

    /// <summary>The folder.</summary>
    public string Path => folder;

    /// <summary>The target whose findings they are.</summary>
    public string Target => target;

    /// <summary>Distinct findings so far.</summary>
    public int Count => _shapes.Count;

    /// <summary>False when a finding of the same shape has been kept already.</summary>
    public bool IsNew(FuzzFinding finding) => _shapes.Add(finding.Shape);

    /// <summary>Keeps an input and says where.</summary>
    public string Save(FuzzInput input, string message)
    {
        Directory.CreateDirectory(folder);
        var text = input.ToString();
        var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..12];
        var path = System.IO.Path.Combine(folder, $"{target}-{name}.txt");
        var remark = string.Join('\n', message.Split('\n').Select(line => $"# {line.Trim()}"));
        File.WriteAllText(path, $"{remark}\n{text}");
        return path;
    }
}
