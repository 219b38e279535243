using Godwit.Storage.Formats;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>godwit disk convert: the source stays as it is, and the target has its name only when it is whole.</summary>
internal sealed class ConvertCase(ImageFormat format, string target) : KillCase
{
    public override string[] Words => ["convert", "s.img", target, "--verify"];

    public override Task PrepareAsync(string folder) => MakeAsync(Path.Combine(folder, "s.img"), format, 256 * MiB, units: 20);

    public override Task RequireSafeAsync(string before, string folder) => RequireSafeMakingAsync(before, folder, "s.img", target);

    public override async Task RequireDoneAsync(string before, string folder)
    {
        RequireFiles(folder, "s.img", target);
        await RequireSoundAsync(Path.Combine(folder, target), closed: true);
        await RequireSameAsync(Path.Combine(before, "s.img"), Path.Combine(folder, target));
    }

    public override Task RequireCancelledAsync(string before, string folder)
    {
        RequireFiles(folder, "s.img");
        return Task.CompletedTask;
    }

    public override bool FindsItDone(CliResult end) =>
        end.Code == 1 && end.Error.Contains("exists already and is never overwritten", StringComparison.Ordinal);
}

/// <summary>godwit disk repair --to: the damaged image stays as it is.</summary>
internal sealed class RepairCopyCase : KillCase
{
    public override string[] Words => ["repair", "d.vhd", "--to", "good.vhd"];

    public override async Task PrepareAsync(string folder)
    {
        var image = Path.Combine(folder, "d.vhd");
        await MakeAsync(image, ImageFormat.VhdDynamic, 256 * MiB, units: 20);
        Directory.CreateDirectory(Path.Combine(folder, "good"));
        File.Copy(image, Path.Combine(folder, "good", "d.vhd"));
        using var file = File.OpenHandle(image, FileMode.Open, FileAccess.Write);
        RandomAccess.SetLength(file, RandomAccess.GetLength(file) - 100);
    }

    public override Task RequireSafeAsync(string before, string folder) => RequireSafeMakingAsync(before, folder, "d.vhd", "good.vhd");

    public override async Task RequireDoneAsync(string before, string folder)
    {
        RequireFiles(folder, "d.vhd", "good.vhd");
        await RequireSoundAsync(Path.Combine(folder, "good.vhd"), closed: true);
        await RequireSameAsync(Path.Combine(before, "good", "d.vhd"), Path.Combine(folder, "good.vhd"));
    }

    public override Task RequireCancelledAsync(string before, string folder)
    {
        RequireFiles(folder, "d.vhd");
        return Task.CompletedTask;
    }

    public override bool FindsItDone(CliResult end) =>
        end.Code == 1 && end.Error.Contains("exists already and is never overwritten", StringComparison.Ordinal);
}
