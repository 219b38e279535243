using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;

namespace Godwit.Cli.Disks;

/// <summary>A format <c>disk convert</c> knows: one of Godwit's own, or one that qemu-img reads and writes for it.</summary>
/// <param name="Word">As on the command line.</param>
/// <param name="Own">Godwit's own format; null for one of qemu-img's.</param>
internal sealed record ConvertFormat(string Word, DiskFormat? Own)
{
    /// <summary>The formats qemu-img is asked for. VHD and VHDX are not among them: it gets those wrong.</summary>
    public static readonly string[] ForeignWords = ["qcow2", "vmdk"];

    /// <summary>What a file can be made into.</summary>
    public static readonly string[] TargetWords = ["vhdx", "vhdx-fixed", "vhd", "vhd-fixed", "raw", .. ForeignWords];

    /// <summary>What a file can be.</summary>
    public static readonly string[] SourceWords = [.. DiskFormats.Words, .. ForeignWords];

    /// <summary>A format of Godwit's own.</summary>
    public static ConvertFormat Of(DiskFormat format) => new(DiskFormats.Word(format), format);

    /// <summary>What a new file of this name is to be when nobody says.</summary>
    public static ConvertFormat ForNew(string path) =>
        ForeignWords.FirstOrDefault(word => path.EndsWith($".{word}", StringComparison.OrdinalIgnoreCase)) is string word
            ? new ConvertFormat(word, null)
            : Of(DiskFileNames.FormatFor(path));

    /// <summary>An option whose value is one of some words; null when it was not given.</summary>
    public static Option<ConvertFormat?> CreateOption(string name, string description, string[] words)
    {
        var option = new Option<ConvertFormat?>(name)
        {
            Description = description,
            HelpName = "FORMAT",
            CustomParser = result =>
            {
                var word = result.Tokens[0].Value;
                if (words.Contains(word, StringComparer.Ordinal))
                    return new ConvertFormat(word, DiskFormats.TryParse(word, out var own) ? own : null);
                result.AddError($"{name}: \"{word}\" is not a format here: use {string.Join(", ", words)}");
                return null;
            },
        };
        option.CompletionSources.Add(words);
        return option;
    }

    /// <summary>The same format with its blocks allocated from the start, or not.</summary>
    /// <exception cref="UsageException">The format has no such choice.</exception>
    public ConvertFormat WithSubtype(string subtype) => (Own, subtype) switch
    {
        (DiskFormat.VhdxDynamic, "fixed") => Of(DiskFormat.VhdxFixed),
        (DiskFormat.VhdDynamic, "fixed") => Of(DiskFormat.VhdFixed),
        (DiskFormat.VhdxDynamic or DiskFormat.VhdDynamic, "dynamic") or (DiskFormat.VhdxFixed or DiskFormat.VhdFixed, "fixed") => this,
        _ => throw new UsageException($"--subtype: {Word} cannot be {subtype}"),
    };
}
