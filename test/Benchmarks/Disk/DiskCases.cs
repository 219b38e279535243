namespace Godwit.Benchmarks.Disk;

/// <summary>The operations on a set of files that all hold the same disk: NAME.raw, NAME.vhdx and NAME.vhd.</summary>
/// <param name="godwit">The program as it is shipped.</param>
/// <param name="folder">Where the files are.</param>
internal sealed class DiskCases(string godwit, string folder)
{
    /// <summary>Conversions, map, check and compare of one set.</summary>
    /// <param name="name">The set.</param>
    /// <param name="withCopy">Lets <c>cp</c> copy the source as well.</param>
    public IEnumerable<DiskCase> Of(string name, bool withCopy)
    {
        yield return Convert(name, "vhdx", "raw", withCopy);
        yield return Convert(name, "vhdx", "vhdx", withCopy);
        yield return Convert(name, "raw", "vhdx", withCopy);
        yield return Convert(name, "vhd", "vhdx", withCopy);
        var (vhdx, raw) = (File($"{name}.vhdx"), File($"{name}.raw"));
        yield return new DiskCase(
            $"{name}: map vhdx",
            [new("godwit", godwit, ["disk", "map", vhdx, "--json"]), Qemu("map", "--output=json", "-f", "vhdx", vhdx)],
            Note: "qemu-img's driver for VHDX cannot tell what is allocated: it prints one run of data for the whole disk, reading nothing");
        yield return new DiskCase(
            $"{name}: check vhdx", [new("godwit", godwit, ["disk", "check", vhdx]), Qemu("check", "-f", "vhdx", vhdx)]);
        yield return new DiskCase(
            $"{name}: compare vhdx raw",
            [new("godwit", godwit, ["disk", "compare", vhdx, raw]), Qemu("compare", "-f", "vhdx", "-F", "raw", vhdx, raw)]);
    }

    /// <summary>What an open of one file costs.</summary>
    public DiskCase Open(string name, string file, bool map)
    {
        string[] words = map ? ["disk", "map", file, "--json"] : ["disk", "info", file];
        return new DiskCase(name, [new("godwit", godwit, words), map ? Qemu("map", "--output=json", "-f", "vhdx", file) : Qemu("info", "-f", "vhdx", file)]);
    }

    private DiskCase Convert(string name, string from, string to, bool withCopy)
    {
        var source = File($"{name}.{from}");
        var target = File($"made.{to}");
        List<Contender> contenders =
        [
            new("godwit", godwit, ["disk", "convert", source, target, "--format", to], target),
            Qemu("convert", "-f", QemuName(from), "-O", QemuName(to), source, target) with { Target = target },
        ];
        if (withCopy)
            contenders.Add(new("cp", "cp", [source, target], target));
        return new DiskCase(
            $"{name}: convert {from} {to}", contenders, Qemu("compare", "-f", "raw", "-F", QemuName(to), File($"{name}.raw"), target));
    }

    private string File(string name) => Path.Combine(folder, name);

    private static Contender Qemu(params string[] arguments) => new("qemu-img", "qemu-img", arguments);

    private static string QemuName(string format) => format == "vhd" ? "vpc" : format;
}
