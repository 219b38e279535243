using Godwit.Cli;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class UsageTests
{
    [Theory(Timeout = 30_000)]
    [InlineData("", "godwit needs a command: vm, checkpoint, disk, job, host, token, completion", "godwit")]
    [InlineData("vn list", "\"vn\" is not a command of godwit: use vm, checkpoint, disk, job, host, token, completion", "godwit")]
    [InlineData("vm", "godwit vm needs a command: create, list, show, set, dvd, top, limit, track, start, stop, save, restart-worker, remove, move-storage, pause, resume, reset, discard-saved-state, rename", "godwit vm")]
    [InlineData("job kill 1", "\"kill\" is not a command of godwit job: use list, show, watch, cancel", "godwit job")]
    [InlineData("vm list --foo", "godwit vm list has no option --foo", "godwit vm list")]
    [InlineData("vm show", "godwit vm show needs NAME", "godwit vm show")]
    [InlineData("vm show a b", "\"b\" is one argument too many for godwit vm show", "godwit vm show")]
    [InlineData("vm move-storage web", "godwit vm move-storage needs --to DIR", "godwit vm move-storage")]
    [InlineData("disk create a.vhdx", "--size is missing", "godwit disk create")]
    [InlineData("disk convert a.vhdx", "godwit disk convert needs TARGET", "godwit disk convert")]
    [InlineData("disk create a --size 8GB", "--size: \"8GB\" is not a size: write bytes, or a number with K, M, G or T (KiB, MiB, GiB, TiB; 1024 each), for example 8G", "godwit disk create")]
    [InlineData("disk create a --size 0", "--size: \"0\" is not a size: write bytes, or a number with K, M, G or T (KiB, MiB, GiB, TiB; 1024 each), for example 8G", "godwit disk create")]
    [InlineData("disk create a --size 8G --format qcow2", "--format: \"qcow2\" is not a format: use vhdx, vhdx-fixed, vhdx-differencing, vhd, vhd-fixed, vhd-differencing, raw", "godwit disk create")]
    [InlineData("disk create a --size 8G --block-size 3M", "--block-size: 3 MiB is not a power of two from 1M to 256M", "godwit disk create")]
    [InlineData("disk create a --size 8G --block-size 512M", "--block-size: 512 MiB is not a power of two from 1M to 256M", "godwit disk create")]
    [InlineData("disk create a --size 8G --block-size 1M --format raw", "--block-size: a raw file has no blocks", "godwit disk create")]
    [InlineData("vm create a --disk x,sice=1", "--disk x,sice=1: \"sice=1\" is none of size=…, format=…, cache=…, controller=…, number=… and location=… (a comma in the path is written twice)", "godwit vm create")]
    [InlineData("vm create a --dvd x,size=1G", "--dvd x,size=1G: \"size=1G\" is none of controller=…, number=… and location=… (a comma in the path is written twice)", "godwit vm create")]
    [InlineData("vm dvd a", "give either --insert FILE or --eject", "godwit vm dvd")]
    [InlineData("vm dvd a --insert x --eject", "give either --insert FILE or --eject", "godwit vm dvd")]
    [InlineData("vm create a --cpus 0", "--cpus: at least 1", "godwit vm create")]
    [InlineData("vm create a --initrd x", "--initrd and --append belong to a direct boot: give --kernel too", "godwit vm create")]
    [InlineData("vm stop a --timeout 0", "--timeout: at least 1 second", "godwit vm stop")]
    [InlineData("token create a", "godwit token create needs --role ROLE", "godwit token create")]
    [InlineData("token create a --role king", "--role: \"king\" is not a role: use viewer, operator, administrator", "godwit token create")]
    [InlineData("token create a/b --role viewer", "a token's name has 1 to 64 letters, digits, dots, underscores and hyphens", "godwit token create")]
    [InlineData("token create a --role viewer --expires 30", "--expires: \"30\" is not a time: write days, hours or minutes, as in 30d, 12h or 90m, up to ten years, or never", "godwit token create")]
    [InlineData("token create a --role viewer --expires 9999999999999d", "--expires: \"9999999999999d\" is not a time: write days, hours or minutes, as in 30d, 12h or 90m, up to ten years, or never", "godwit token create")]
    [InlineData("host audit --last 0", "--last: at least 1", "godwit host audit")]
    [InlineData("job show 12", "\"12\" is not a job id: give it whole or its first four or more characters", "godwit job show")]
    [InlineData("job show ../x", "\"../x\" is not a job id: give it whole or its first four or more characters", "godwit job show")]
    [InlineData("host show --host tcp:1", "\"tcp:1\" is not an address of godwitd: write unix:/path/to/godwitd.sock or https://HOST:PORT", "godwit host show")]
    [InlineData("host show --host https://h:7080", "whom to trust to say that https://h:7080 is the right host is not known: name the host's authority (ca-cert.pem in the folder tls of godwitd's state folder) with --ca or GODWIT_CA", "godwit host show")]
    public async Task A_wrong_command_line_is_told_in_one_line_with_where_to_read_on(string line, string error, string command)
    {
        using var run = new CliRun();
        var result = await run.RunAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal($"error: {error}\nhelp: {command} --help\n", result.Error);
        Assert.Equal("", result.Out);
        Assert.Equal(ExitCode.Usage, result.Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task Help_shows_options_and_an_example_and_succeeds()
    {
        using var run = new CliRun();
        var result = await run.RunAsync("vm", "move-storage", "--help");
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Contains("--bandwidth <SIZE>", result.Out, StringComparison.Ordinal);
        Assert.EndsWith("Example:\n  godwit vm move-storage web --to /mnt/fast --bandwidth 100M\n\n", result.Out, StringComparison.Ordinal);
        Assert.Equal("", result.Error);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_version_is_one_line()
    {
        using var run = new CliRun();
        var result = await run.RunAsync("--version");
        Assert.Matches(@"^godwit \d+\.\d+\.\d+\S*\n$", result.Out);
        Assert.Equal(ExitCode.Ok, result.Code);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("bash", "complete -o default -F _godwit godwit")]
    [InlineData("zsh", "compdef _godwit godwit")]
    [InlineData("fish", "complete -c godwit")]
    public async Task A_completion_script_is_data(string shell, string line)
    {
        using var run = new CliRun();
        var result = await run.RunAsync("completion", shell);
        Assert.Contains(line, result.Out, StringComparison.Ordinal);
        Assert.Equal("", result.Error);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("godwit vm ", "move-storage")]
    [InlineData("godwit disk create x --format ", "vhdx-fixed")]
    [InlineData("godwit job cancel --", "--no-wait")]
    public async Task The_program_answers_what_can_come_next(string line, string word)
    {
        using var run = new CliRun();
        var result = await run.RunAsync($"[suggest:{line.Length}]", line);
        Assert.Contains(word, result.Out.Split('\n'));
    }

    [Fact(Timeout = 30_000)]
    public async Task Without_godwitd_the_error_says_which_address_was_tried()
    {
        using var run = new CliRun { Variables = new() { ["GODWIT_HOST"] = "unix:/nonexistent/d.sock" } };
        var result = await run.RunAsync("vm", "list");
        Assert.Equal(
            "error: godwitd is not reachable at unix:/nonexistent/d.sock (no such socket)\n"
            + "remedy: start it (systemctl start godwitd, or run godwitd), or choose another with --host or GODWIT_HOST\n",
            result.Error);
        Assert.Equal(ExitCode.Failed, result.Code);
    }
}
