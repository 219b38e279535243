using Godwit.Fuzz;
using Godwit.Fuzz.Engine;
using Godwit.Fuzz.Soak;
using Godwit.Fuzz.Targets;

CoverageMap.Attach();
if (args is ["instrument", var folder])
{
    Instrumentation.CopyInto(folder);
    return 0;
}

if (args is ["list"])
{
    foreach (var target in AllTargets.Create())
        Console.WriteLine($"{target.Name,-16} {target.What}");
    return 0;
}

if (args is ["soak", .. var rest])
    return await SoakVerb.RunAsync(rest);

if (FuzzOptions.Parse(args) is not FuzzOptions options)
{
    Console.Error.WriteLine(FuzzOptions.Usage);
    return 64;
}

var targets = AllTargets.Create().Where(target => options.Target == "all" || options.Target == target.Name
    || target.Name.StartsWith(options.Target + "-", StringComparison.Ordinal)).ToList();
if (targets.Count == 0)
{
    Console.Error.WriteLine($"godwit-fuzz: no target '{options.Target}'; `godwit-fuzz list` names them");
    return 64;
}

return options.Replay is null ? await FuzzVerb.RunAsync(targets, options) : await FuzzVerb.ReplayAsync(targets[0], options.Replay);
