using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>godwit disk merge of layers below a leaf, which reads the same at any moment.</summary>
internal sealed class MergeCase(ImageFormat format, bool several) : KillCase
{
    public override string[] Words => several
        ? ["merge", "upper.img", "--into", "base.img", "--leaf", "leaf.img"]
        : ["merge", "upper.img", "--leaf", "leaf.img"];

    public override async Task PrepareAsync(string folder)
    {
        string[] names = [.. ((string[])["base", "lower", "upper", "leaf"]).Select(name => Path.Combine(folder, $"{name}.img"))];
        await MakeAsync(names[0], format, 256 * MiB, units: 8);
        await MakeChildAsync(names[1], names[0], units: several ? 24 : 8);
        await MakeChildAsync(names[2], names[1], units: 20);
        await MakeChildAsync(names[3], names[2], units: 2);
    }

    public override async Task RequireSafeAsync(string before, string folder)
    {
        await RequireSoundAsync(Path.Combine(folder, "leaf.img"));
        await RequireSameAsync(Path.Combine(before, "leaf.img"), Path.Combine(folder, "leaf.img"));
    }

    public override Task RequireDoneAsync(string before, string folder)
    {
        // Killed while several files were being removed, it may have left some: the page of the command says so.
        if (several && File.Exists(Path.Combine(folder, "lower.img")) && !File.Exists(Path.Combine(folder, "upper.img")))
            File.Delete(Path.Combine(folder, "lower.img"));
        RequireFiles(folder, several ? ["base.img", "leaf.img"] : ["base.img", "lower.img", "leaf.img"]);

        // A VHD that was killed while it got its new parent keeps a warning until it is opened for writing next.
        return RequireSoundAsync(Path.Combine(folder, "leaf.img"), closed: format == ImageFormat.VhdxDynamic);
    }

    public override bool FindsItDone(CliResult end) => end.Code == 3 && end.Error.Contains("upper.img", StringComparison.Ordinal);
}

/// <summary>godwit disk merge of the leaf into its parent: one of the two reads like the leaf did at any moment.</summary>
internal sealed class MergeLeafCase : KillCase
{
    public override string[] Words => ["merge", "leaf.img"];

    public override async Task PrepareAsync(string folder)
    {
        await MakeAsync(Path.Combine(folder, "base.img"), ImageFormat.VhdxDynamic, 256 * MiB, units: 8);
        await MakeChildAsync(Path.Combine(folder, "leaf.img"), Path.Combine(folder, "base.img"), units: 20);
    }

    public override async Task RequireSafeAsync(string before, string folder)
    {
        var (leaf, target) = (Path.Combine(folder, "leaf.img"), Path.Combine(folder, "base.img"));
        await RequireSoundAsync(target);
        try
        {
            await RequireSameAsync(Path.Combine(before, "leaf.img"), leaf);
        }
        catch (StorageException gone) when (gone.Kind is StorageErrorKind.NotFound or StorageErrorKind.ParentMismatch)
        {
            await RequireSameAsync(Path.Combine(before, "leaf.img"), target);
        }
    }

    public override async Task RequireDoneAsync(string before, string folder)
    {
        RequireFiles(folder, "base.img");
        await RequireSoundAsync(Path.Combine(folder, "base.img"), closed: true);
        await RequireSameAsync(Path.Combine(before, "leaf.img"), Path.Combine(folder, "base.img"));
    }

    public override bool FindsItDone(CliResult end) => end.Code == 3 && end.Error.Contains("leaf.img", StringComparison.Ordinal);
}

/// <summary>godwit disk rebase: the image reads the same at any moment, through one parent or the other.</summary>
internal sealed class RebaseCase : KillCase
{
    public override string[] Words => ["rebase", "c.img", "other.img"];

    public override async Task PrepareAsync(string folder)
    {
        string[] names = [.. ((string[])["base", "other", "c"]).Select(name => Path.Combine(folder, $"{name}.img"))];
        await MakeAsync(names[0], ImageFormat.VhdxDynamic, 256 * MiB, units: 20);
        await MakeAsync(names[1], ImageFormat.VhdxDynamic, 256 * MiB, units: 16);
        await MakeChildAsync(names[2], names[0], units: 4);
    }

    public override async Task RequireSafeAsync(string before, string folder)
    {
        await RequireSoundAsync(Path.Combine(folder, "c.img"));
        await RequireSameAsync(Path.Combine(before, "c.img"), Path.Combine(folder, "c.img"));
        RequireFiles(folder, "base.img", "other.img", "c.img");
    }

    public override async Task RequireDoneAsync(string before, string folder)
    {
        await RequireSoundAsync(Path.Combine(folder, "c.img"), closed: true);
        var chain = await DiskChain.DescribeAsync(Path.Combine(folder, "c.img"), new ChainOptions(), Token);
        Assert.Equal(Path.Combine(folder, "other.img"), chain[1].Path);
    }
}
