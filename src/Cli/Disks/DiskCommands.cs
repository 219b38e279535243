using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;

namespace Godwit.Cli.Disks;

/// <summary>The commands of the noun "disk": image files, without godwitd.</summary>
internal static class DiskCommands
{
    /// <summary>Makes the noun with all its verbs.</summary>
    public static Command Create(Shell shell, GlobalOptions global) => new("disk", "Image files, without a running godwitd")
    {
        DiskCreate.Create(shell, global),
        DiskShow.Create(shell, global),
        DiskConvert.Create(shell, global),
        DiskFileCopy.Create(shell, global),
        DiskComparison.Create(shell, global),
        DiskHash.Create(shell, global),
        DiskServe.Create(shell, global),
        DiskCheck.Create(shell, global),
        DiskRepair.Create(shell, global),
        DiskMap.Create(shell, global),
        DiskMerge.Create(shell, global),
        DiskParentChange.CreateRebase(shell, global),
        DiskResizing.Create(shell, global),
        DiskParentChange.CreateSetParent(shell, global),
        DiskCompaction.Create(shell, global),
    };

    /// <summary>The argument that names an image file.</summary>
    public static Argument<string> PathArgument(string name = "PATH", string description = "The image file") =>
        new(name) { Description = description };

    /// <summary>The option that says what a file is, for files whose content could mislead.</summary>
    public static Option<DiskFormat?> ExpectedFormatOption(string name = "--format") =>
        FormatOption("What the file is: vhdx, vhd or raw (told by its content when not given)", name);

    /// <summary>The option that chooses the kind within a format's family.</summary>
    public static Option<string?> SubtypeOption()
    {
        var option = new Option<string?>("--subtype")
        {
            Description = "Kind within the format: dynamic, fixed or differencing, another way to say vhdx-fixed and the like",
            HelpName = "KIND",
        };
        option.AcceptOnlyFromAmong(DiskFormats.Subtypes);
        return option;
    }

    /// <summary>The option that chooses a format; null when it was not given.</summary>
    public static Option<DiskFormat?> FormatOption(string description, string name = "--format")
    {
        var option = new Option<DiskFormat?>(name)
        {
            Description = description,
            HelpName = "FORMAT",
            CustomParser = result =>
            {
                if (DiskFormats.TryParse(result.Tokens[0].Value, out var format))
                    return format;
                result.AddError(
                    $"{name}: \"{result.Tokens[0].Value}\" is not a format: use {string.Join(", ", DiskFormats.Words)}");
                return null;
            },
        };
        option.CompletionSources.Add(DiskFormats.Words);
        return option;
    }
}
