using System.CommandLine;
using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm limit</summary>
internal sealed class VmLimit
{
    private readonly Argument<string> _name = VmCommands.NameArgument();
    private readonly Option<string> _disk = new("--disk") { Description = "Name of the disk", HelpName = "NAME", Required = true };

    private readonly Option<long?> _iops = new("--iops")
    {
        Description = "Requests of up to 8 KiB a second; a longer one counts as so many",
        HelpName = "N",
    };

    private readonly Option<long?> _bandwidth = SizeOption.Create("--bandwidth", "Bytes read and written a second");
    private readonly Option<bool> _none = new("--none") { Description = "Take all limits away" };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var limit = new VmLimit();
        var verb = new Verb("limit", "Limits how much a disk of a running VM may be used", "godwit vm limit web --disk disk0 --iops 500 --bandwidth 50M")
        {
            limit._name, limit._disk, limit._iops, limit._bandwidth, limit._none,
        };
        verb.AddJson("Write the limits that hold now as JSON");
        verb.Does(shell, global, limit.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var wanted = new DiskLimitSpec(session.Get(_iops), session.Get(_bandwidth));
        if (wanted == new DiskLimitSpec() != session.Get(_none))
            throw new UsageException("give --iops, --bandwidth or both, or --none");
        if (wanted.RequestsPerSecond is <= 0)
            throw new UsageException("--iops is at least 1");
        var (name, disk) = (session.Get(_name), session.Get(_disk)!);
        var now = await session.Client.LimitDiskAsync(name, disk, wanted, cancellationToken);
        if (!session.TryWriteJson(now, JsonText.Api.DiskLimitSpec))
            session.Talk.Say($"{disk} of VM {name}: {Text(now)}");
        return ExitCode.Ok;
    }

    private static string Text(DiskLimitSpec limits)
    {
        string?[] parts =
        [
            limits.RequestsPerSecond is long requests ? $"{requests.ToString("#,0", CultureInfo.InvariantCulture)} requests/s" : null,
            limits.BytesPerSecond is long bytes ? $"{ByteSize.Format(bytes)}/s" : null,
        ];
        return parts.Any(part => part is not null) ? $"at most {string.Join(" and ", parts.OfType<string>())}" : "no limits";
    }
}
